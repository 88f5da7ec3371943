//! Builds answers.

use std::net::IpAddr;
use std::str::FromStr;

use domain::base::iana::{Class, Rcode};
use domain::base::message_builder::{AnswerBuilder, PushError, StaticCompressor};
use domain::base::{Header, Message, MessageBuilder, Name, Ttl};
use domain::rdata::{A, Aaaa, Ptr};

use super::query::Query;

/// How long clients may keep an answer, as those of the reference.
const TIME_TO_LIVE: Ttl = Ttl::from_secs(600);

/// The networks' records for a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The name has these addresses of the queried type.
    Addresses(Vec<IpAddr>),
    /// The address's name, as text.
    Name(String),
    /// The name exists, or must not be queried elsewhere, and has no record of this kind.
    Nothing,
}

type Builder = AnswerBuilder<StaticCompressor<Vec<u8>>>;

/// The answer from the networks' files, cut to what the client takes.
pub(super) fn local(query: &Query<'_>, content: &Content, buffer: Vec<u8>) -> Vec<u8> {
    let mut builder = begin(query.message, Rcode::NOERROR, buffer);
    builder.set_push_limit(query.limit + 1);
    if push(&mut builder, query, content).is_err() {
        builder.header_mut().set_tc(true);
    }
    builder.finish().into_target()
}

fn push(builder: &mut Builder, query: &Query<'_>, content: &Content) -> Result<(), PushError> {
    let owner = query.question.qname();
    match content {
        Content::Nothing => {}
        Content::Name(name) => {
            // What is no domain name is not in the files.
            if let Ok(name) = Name::<Vec<u8>>::from_str(name) {
                builder.push((owner, Class::IN, TIME_TO_LIVE, Ptr::new(name)))?;
            }
        }
        Content::Addresses(addresses) => {
            for address in addresses {
                match address {
                    IpAddr::V4(address) => {
                        builder.push((owner, Class::IN, TIME_TO_LIVE, A::new(*address)))?;
                    }
                    IpAddr::V6(address) => {
                        builder.push((owner, Class::IN, TIME_TO_LIVE, Aaaa::new(*address)))?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The answer to a packet that is no query that can be answered.
pub(super) fn refusal(asked: Header, code: Rcode, buffer: Vec<u8>) -> Vec<u8> {
    let Ok(mut builder) = MessageBuilder::from_target(buffer);
    let header = builder.header_mut();
    header.set_id(asked.id());
    header.set_opcode(asked.opcode());
    header.set_rd(asked.rd());
    header.set_qr(true);
    header.set_ra(true);
    header.set_rcode(code);
    builder.finish()
}

/// The answer when no upstream server has one.
pub(super) fn failure(query: &Message<[u8]>, buffer: Vec<u8>) -> Vec<u8> {
    begin(query, Rcode::SERVFAIL, buffer).finish().into_target()
}

/// The answer in place of one that is longer than the client takes: it is to query again over TCP.
pub(super) fn cut(query: &Message<[u8]>, code: Rcode) -> Vec<u8> {
    let mut builder = begin(query, code, Vec::new());
    builder.header_mut().set_tc(true);
    builder.finish().into_target()
}

fn begin(query: &Message<[u8]>, code: Rcode, buffer: Vec<u8>) -> Builder {
    let Ok(builder) = MessageBuilder::from_target(StaticCompressor::new(buffer));
    let mut builder = builder.start_error(query, code);
    builder.header_mut().set_ra(true);
    builder
}
