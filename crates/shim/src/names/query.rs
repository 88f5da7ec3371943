//! Reads a client's packet.

use domain::base::iana::{Opcode, Rcode};
use domain::base::name::ParsedName;
use domain::base::{Header, Message, Question};
use shim_protocol::names::dns_text;

/// A longer query is refused, in bytes: one question takes at most 271, what EDNS adds is little.
pub(super) const LONGEST: usize = 4096;

/// The largest datagram unless the client announces another size, RFC 1035 section 2.3.4, in bytes.
const PLAIN_DATAGRAM: u16 = 512;

/// How a client sends its queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Datagram,
    Connection,
}

/// A query with one question.
pub(super) struct Query<'a> {
    pub(super) message: &'a Message<[u8]>,
    pub(super) question: Question<ParsedName<&'a [u8]>>,
    /// The queried name, as text in lower case.
    pub(super) name: String,
    /// How long the answer may be, in bytes.
    pub(super) limit: usize,
}

/// The kind of a packet.
pub(super) enum Received<'a> {
    /// Nothing to answer: too short, or an answer itself.
    Noise,
    /// Something to refuse with this code.
    Faulty(Header, Rcode),
    /// A query.
    Query(Query<'a>),
}

/// Reads a packet as far as an answer needs it.
pub(super) fn read(packet: &[u8], transport: Transport) -> Received<'_> {
    let Ok(message) = Message::from_slice(packet) else {
        return Received::Noise;
    };
    let header = message.header();
    if header.qr() {
        return Received::Noise;
    }
    if header.opcode() != Opcode::QUERY {
        return Received::Faulty(header, Rcode::NOTIMP);
    }
    if packet.len() > LONGEST {
        return Received::Faulty(header, Rcode::FORMERR);
    }
    let Ok(question) = message.sole_question() else {
        return Received::Faulty(header, Rcode::FORMERR);
    };
    let name = dns_text(question.qname().iter().map(|label| label.as_slice())).to_ascii_lowercase();
    let limit = match transport {
        Transport::Datagram => message.opt().map_or(PLAIN_DATAGRAM, |opt| opt.udp_payload_size()),
        Transport::Connection => u16::MAX,
    };
    let limit = usize::from(limit.max(PLAIN_DATAGRAM));
    Received::Query(Query { message, question, name, limit })
}

#[cfg(test)]
mod tests;
