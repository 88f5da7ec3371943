//! Whatever a packet holds, reading and answering it ends, and the answer is one that a client can read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::Message;
use proptest::prelude::*;

use super::{Query, Received, Transport, read};
use crate::names::answer::{self, Content};

/// A query for `web.net` with EDNS.
const QUERY: &[u8] =
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03web\x03net\0\0\x01\0\x01\0\0\x29\x04\0\0\0\0\0\0\0";

fn answers(query: &Query<'_>) {
    let addresses: Vec<IpAddr> = (0..40)
        .flat_map(|last| {
            [Ipv4Addr::new(10, 0, 0, last).into(), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into()]
        })
        .collect();
    let contents =
        [Content::Addresses(addresses), Content::Name("Web_1.my\\032net".to_owned()), Content::Nothing];
    for content in &contents {
        let answer = answer::local(query, content, Vec::new());
        let message = Message::from_slice(&answer).expect("a message");
        assert!(answer.len() <= query.limit && message.is_answer(query.message), "{answer:?}");
        let records = message.answer().expect("records").filter(Result::is_ok).count();
        assert_eq!(records, usize::from(message.header_counts().ancount()));
    }
    let failure = answer::failure(query.message, Vec::new());
    assert!(Message::from_slice(&failure).expect("a message").is_answer(query.message));
}

fn is_handled(packet: &[u8]) -> bool {
    for transport in [Transport::Datagram, Transport::Connection] {
        match read(packet, transport) {
            Received::Noise => return packet.len() < 12 || packet[2] & 0x80 != 0,
            Received::Faulty(header, code) => {
                let answer = answer::refusal(header, code, Vec::new());
                assert_eq!((answer.len(), &answer[..2]), (12, &packet[..2]));
            }
            Received::Query(query) => answers(&query),
        }
    }
    true
}

#[test]
fn a_query_is_read() {
    let Received::Query(query) = read(QUERY, Transport::Datagram) else { panic!("it is a query") };
    assert_eq!((query.name.as_str(), query.limit), ("web.net", 1024));
    let Received::Query(query) = read(QUERY, Transport::Connection) else { panic!("it is a query") };
    assert_eq!(query.limit, 65_535);
    assert!(is_handled(QUERY));
}

proptest! {
    #[test]
    fn any_packet_is_handled(packet in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(is_handled(&packet));
    }

    #[test]
    fn a_query_with_changed_bytes_is_handled(
        changes in prop::collection::vec((0..QUERY.len(), any::<u8>()), 0..4),
        length in 0..=QUERY.len(),
    ) {
        let mut packet = QUERY.to_vec();
        for (at, byte) in changes {
            packet[at] = byte;
        }
        prop_assert!(is_handled(&packet));
        prop_assert!(is_handled(&packet[..length]));
    }
}
