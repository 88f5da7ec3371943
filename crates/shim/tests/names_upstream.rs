//! The name service: names that are queried at upstream servers. Needs root.

mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Header, Message};
use shim_protocol::names::{NameService, Upstream, UpstreamNamespace};
use support::names::*;

/// Two addresses of the container's loopback at which servers listen.
const FIRST: &str = "127.0.0.1";
const SECOND: &str = "127.0.0.2";

/// A container whose first server behaves like this, and whose second resolves every name to 192.0.2.2.
fn between(first: Behaviour) -> (Named, Server, Server) {
    let named = Named::sleeping(|place| {
        let file = write_names(place, "net", &[("web", &[], &["172.18.0.2"])]);
        service(&[&file], &[], &[in_container(FIRST), in_container(SECOND)])
    });
    let (first, second) = named.within(|| {
        (Server::serve(FIRST, first), Server::serve(SECOND, |query| vec![known(query, "192.0.2.2")]))
    });
    (named, first, second)
}

fn known(query: &Message<[u8]>, of: &str) -> Vec<u8> {
    answer(query, Rcode::NOERROR, &[address(of)])
}

/// As many addresses as do not fit into 512 bytes.
fn hundred() -> Vec<IpAddr> {
    (1..=100).map(|last| IpAddr::from([192, 0, 2, last])).collect()
}

#[test]
fn other_names_are_asked_upstream_over_the_clients_transport() {
    let (named, first, second) = between(|query| vec![known(query, "192.0.2.1")]);
    for connection in [false, true] {
        let reply = named.ask_as(&Ask { name: "x.example", connection, ..Ask::default() });
        assert_eq!(reply.addresses(), [address("192.0.2.1")]);
    }
    // Neither a name of a container, nor what its kind has not.
    named.ask("web", Rtype::A);
    named.ask("web", Rtype::AAAA);
    let transports: Vec<bool> = first.asked.lock().unwrap().iter().map(|asked| asked.2).collect();
    assert_eq!((transports, second.count()), (vec![false, true], 0));
    named.end();
}

#[test]
fn numbers_and_ports_of_queries_are_random() {
    let (named, first, _) = between(|query| vec![known(query, "192.0.2.1")]);
    for _ in 0..50 {
        named.ask("x.example", Rtype::A);
    }
    let asked = first.asked.lock().unwrap().clone();
    let numbers: BTreeSet<u16> = asked.iter().map(|asked| asked.0).collect();
    let ports: BTreeSet<u16> = asked.iter().map(|asked| asked.1).collect();
    assert_eq!(asked.len(), 50);
    // Of 65,536 numbers, and of some 28,000 ports.
    assert!(numbers.len() > 40 && ports.len() > 40, "{numbers:?} {ports:?}");
    named.end();
}

#[test]
fn a_name_that_does_not_exist_is_not_asked_of_the_next_server() {
    let (named, _, second) = between(|query| vec![answer(query, Rcode::NXDOMAIN, &[])]);
    assert_eq!(named.ask("x.example", Rtype::A).code, Rcode::NXDOMAIN);
    assert_eq!(second.count(), 0);
    named.end();
}

#[test]
fn the_next_server_is_asked_when_one_refuses_or_fails_or_is_not_there() {
    for code in [Some(Rcode::SERVFAIL), Some(Rcode::REFUSED), None] {
        let (named, first, second) = match code {
            Some(Rcode::SERVFAIL) => between(|query| vec![answer(query, Rcode::SERVFAIL, &[])]),
            Some(_) => between(|query| vec![answer(query, Rcode::REFUSED, &[])]),
            None => between(|_| Vec::new()),
        };
        for connection in [false, true] {
            let reply = named.ask_as(&Ask { name: "x.example", connection, ..Ask::default() });
            assert_eq!(reply.addresses(), [address("192.0.2.2")], "{code:?}");
        }
        assert_eq!((first.count(), second.count()), (2, 2));
        named.end();
    }
}

#[test]
fn without_a_server_that_answers_the_answer_is_servfail() {
    let nothing_listens = [in_container(FIRST)];
    let no_way = [in_container("192.0.2.1")];
    for upstream in [&[][..], &nothing_listens, &no_way] {
        let named = Named::sleeping(|_| service(&[], &[], upstream));
        for connection in [false, true] {
            let reply = named.ask_as(&Ask { name: "x.example", connection, ..Ask::default() });
            assert_eq!((reply.code, reply.records.len()), (Rcode::SERVFAIL, 0));
        }
        named.end();
    }
}

#[test]
fn a_cut_answer_is_passed_on_and_edns_as_well() {
    let (named, _, _) = between(|query| {
        let whole = answer(query, Rcode::NOERROR, &hundred());
        match query.opt() {
            Some(opt) if usize::from(opt.udp_payload_size()) >= whole.len() => vec![whole],
            _ => {
                let mut cut = answer(query, Rcode::NOERROR, &hundred()[..3]);
                Header::for_message_slice_mut(&mut cut).set_tc(true);
                vec![cut]
            }
        }
    });
    let plain = named.ask("x.example", Rtype::A);
    assert_eq!((plain.is_cut, plain.records.len()), (true, 3));
    let whole = named.ask_as(&Ask { name: "x.example", size: Some(4096), ..Ask::default() });
    assert_eq!((whole.is_cut, whole.records.len()), (false, 100));
    named.end();
}

#[test]
fn an_answer_that_is_longer_than_the_client_takes_is_cut() {
    let (named, _, _) = between(|query| vec![answer(query, Rcode::NOERROR, &hundred())]);
    let reply = named.ask("x.example", Rtype::A);
    assert_eq!((reply.is_cut, reply.code, reply.records.len()), (true, Rcode::NOERROR, 0));
    let whole = named.ask_as(&Ask { name: "x.example", connection: true, ..Ask::default() });
    assert_eq!((whole.is_cut, whole.records.len()), (false, 100));
    named.end();
}

#[test]
fn what_does_not_answer_the_question_is_passed_over() {
    let (named, _, second) = between(|query| {
        let mut other_number = known(query, "192.0.2.66");
        Header::for_message_slice_mut(&mut other_number).set_id(query.header().id() ^ 1);
        let other = Ask { name: "y.example", number: query.header().id(), ..Ask::default() }.packet();
        let other_question = known(Message::from_slice(&other).unwrap(), "192.0.2.66");
        let mut no_answer = known(query, "192.0.2.66");
        Header::for_message_slice_mut(&mut no_answer).set_qr(false);
        let right = known(query, "192.0.2.1");
        vec![b"short".to_vec(), vec![0xff; 600], other_number, other_question, no_answer, right]
    });
    assert_eq!(named.ask("x.example", Rtype::A).addresses(), [address("192.0.2.1")]);
    assert_eq!(second.count(), 0);
    named.end();
}

#[test]
fn a_server_whose_answers_are_guesses_is_given_up() {
    let (named, _, second) = between(|query| {
        let guess = |number: u16| {
            let mut guess = known(query, "192.0.2.66");
            Header::for_message_slice_mut(&mut guess).set_id(query.header().id().wrapping_add(number));
            guess
        };
        (1..=40).map(guess).collect()
    });
    assert_eq!(named.ask("x.example", Rtype::A).addresses(), [address("192.0.2.2")]);
    assert_eq!(second.count(), 1);
    named.end();
}

#[test]
fn a_server_on_the_hosts_loopback_is_asked_from_the_host() {
    // One address for each test process, of a network that nothing else uses.
    let [high, low] = u16::try_from(std::process::id() % 0xffff).unwrap().to_be_bytes();
    let on_host = IpAddr::from([127, 53, high, low]);
    let server = Server::serve(&on_host.to_string(), |query| vec![known(query, "192.0.2.3")]);
    let upstream = [Upstream { address: on_host, namespace: UpstreamNamespace::Host }];
    let named = Named::sleeping(|_| service(&[], &[], &upstream));
    for connection in [false, true] {
        let reply = named.ask_as(&Ask { name: "x.example", connection, ..Ask::default() });
        assert_eq!(reply.addresses(), [address("192.0.2.3")]);
    }
    assert_eq!(server.count(), 2);
    named.end();
}

#[test]
fn single_labels_are_kept_where_the_client_adds_domains() {
    let (mut named, first, _) = between(|query| vec![known(query, "192.0.2.1")]);
    assert_eq!(named.addresses("short"), [address("192.0.2.1")]);
    let file = shim_protocol::names::names_file(named.place.directory.path(), "net");
    let keeping = NameService { keeps_single_labels: true, ..service(&[&file], &[], &[in_container(FIRST)]) };
    named.set(Some(keeping));
    let reply = named.ask("short", Rtype::A);
    assert_eq!((reply.code, reply.records.len()), (Rcode::NOERROR, 0));
    assert_eq!(named.addresses("web"), [address("172.18.0.2")]);
    assert_eq!(named.addresses("short.example"), [address("192.0.2.1")]);
    assert_eq!(first.count(), 2);
    named.end();
}
