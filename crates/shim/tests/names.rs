//! The name service: what it answers from the networks' files. Needs root.

mod support;

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::Instant;

use domain::base::iana::{Rcode, Rtype};
use shim_protocol::{Exec, FailureKind, Request};
use support::names::*;
use support::{Daemon, Place, TIMEOUT, process, rest, streams};

/// The containers of the network `My.Net`.
const CONTAINERS: [(&str, &[&str], &[&str]); 3] = [
    ("Web", &["0123456789ab", "svc", "web-host"], &["172.18.0.2", "fd12::2"]),
    ("db", &["ba9876543210", "svc"], &["172.18.0.3"]),
    ("cache", &["svc"], &["172.18.0.4"]),
];

fn on_my_net() -> Named {
    Named::sleeping(|place| service(&[&write_names(place, "My.Net", &CONTAINERS)], &[], &[]))
}

#[test]
fn names_aliases_and_short_ids_resolve_with_and_without_the_network_in_any_case() {
    let named = on_my_net();
    let web = [address("172.18.0.2")];
    for name in ["web", "WEB", "0123456789ab", "web-host", "web.my.net", "wEb.mY.nEt.", "0123456789ab.my.net"]
    {
        assert_eq!(named.addresses(name), web, "{name}");
    }
    let reply = named.ask("wEb", Rtype::A);
    assert_eq!(reply.records, [("wEb".to_owned(), "172.18.0.2".to_owned())]);
    for name in ["we", "my.net", "web.other", "web.my.net.x", "0123456789"] {
        let reply = named.ask(name, Rtype::A);
        assert_eq!((reply.code, reply.records.len()), (Rcode::SERVFAIL, 0), "{name}");
    }
    named.end();
}

#[test]
fn a_name_without_data_of_the_kind_has_an_empty_answer() {
    let named = on_my_net();
    assert_eq!(named.ask("web", Rtype::AAAA).data(), ["fd12::2"]);
    for (name, kind) in [("db", Rtype::AAAA), ("web", Rtype::MX)] {
        let reply = named.ask(name, kind);
        assert_eq!((reply.code, reply.records.len()), (Rcode::NOERROR, 0), "{name}");
    }
    // Kinds that the files do not have are queried upstream, where there is no server.
    assert_eq!(named.ask("web", Rtype::TXT).code, Rcode::SERVFAIL);
    named.end();
}

#[test]
fn an_address_leads_to_its_containers_name() {
    let named = on_my_net();
    assert_eq!(named.ask("2.0.18.172.in-addr.arpa", Rtype::PTR).data(), ["Web.My.Net."]);
    let reverse = format!("2.{}2.1.d.f.ip6.arpa", "0.".repeat(27));
    assert_eq!(named.ask(&reverse, Rtype::PTR).data(), ["Web.My.Net."]);
    assert_eq!(named.ask("9.0.18.172.in-addr.arpa", Rtype::PTR).code, Rcode::SERVFAIL);
    named.end();
}

#[test]
fn a_shared_alias_has_all_addresses_in_changing_order() {
    let named = on_my_net();
    let all = [address("172.18.0.2"), address("172.18.0.3"), address("172.18.0.4")];
    assert_eq!(named.addresses("svc"), all);
    let mut first: Vec<IpAddr> = (0..100).map(|_| named.ask("svc", Rtype::A).addresses()[0]).collect();
    first.sort();
    first.dedup();
    assert_eq!(first, all);
    named.end();
}

#[test]
fn a_replaced_file_counts_at_once_and_a_missing_one_as_it_was() {
    let named = on_my_net();
    let path = write_names(&named.place, "My.Net", &[("web", &[], &["172.18.0.9"]), CONTAINERS[1]]);
    assert_eq!(named.addresses("web"), [address("172.18.0.9")]);
    assert_eq!(named.ask("cache", Rtype::A).code, Rcode::SERVFAIL);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(named.addresses("web"), [address("172.18.0.9")]);
    write_names(&named.place, "My.Net", &[("new", &[], &["172.18.0.8"])]);
    assert_eq!(named.addresses("new"), [address("172.18.0.8")]);
    assert_eq!(named.ask("web", Rtype::A).code, Rcode::SERVFAIL);
    named.end();
}

#[test]
fn a_link_is_the_containers_own_name_for_another_that_may_come_later() {
    let named = Named::sleeping(|place| {
        let file = write_names(place, "net", &[CONTAINERS[1], ("other", &[], &["172.18.0.5"])]);
        service(&[&file], &[("Database", "db"), ("other", "db"), ("soon", "Late")], &[])
    });
    assert_eq!(named.addresses("database"), [address("172.18.0.3")]);
    assert_eq!(named.addresses("database.net"), [address("172.18.0.3")]);
    assert_eq!(named.addresses("other"), [address("172.18.0.3")]);
    assert_eq!(named.ask("soon", Rtype::A).code, Rcode::SERVFAIL);
    write_names(&named.place, "net", &[("late", &[], &["172.18.0.7"]), ("other", &[], &["172.18.0.5"])]);
    assert_eq!(named.addresses("soon"), [address("172.18.0.7")]);
    assert_eq!(named.addresses("other"), [address("172.18.0.5")]);
    named.end();
}

#[test]
fn networks_are_joined_and_left_while_the_container_runs() {
    let mut named = Named::sleeping(|place| {
        service(&[&write_names(place, "one", &[("a", &["both"], &["172.18.0.2"])])], &[], &[])
    });
    let one = shim_protocol::names::names_file(named.place.directory.path(), "one");
    let two = write_names(&named.place, "two", &[("b", &["both"], &["172.19.0.2"])]);
    assert_eq!(named.ask("b", Rtype::A).code, Rcode::SERVFAIL);
    named.set(Some(service(&[&one, &two], &[], &[])));
    assert_eq!(named.addresses("b"), [address("172.19.0.2")]);
    assert_eq!(named.addresses("b.two"), [address("172.19.0.2")]);
    assert_eq!(named.ask("b.one", Rtype::A).code, Rcode::SERVFAIL);
    assert_eq!(named.addresses("both"), [address("172.18.0.2")]);
    assert_eq!(named.addresses("both.two"), [address("172.19.0.2")]);
    named.set(Some(service(&[&two], &[], &[])));
    assert_eq!(named.ask("a", Rtype::A).code, Rcode::SERVFAIL);
    assert_eq!(named.addresses("both"), [address("172.19.0.2")]);
    named.set(None);
    let refused = named.within(|| std::net::TcpStream::connect(SERVER).unwrap_err());
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    named.set(Some(service(&[&one], &[], &[])));
    assert_eq!(named.addresses("a"), [address("172.18.0.2")]);
    named.end();
}

#[test]
fn names_resolve_while_no_daemon_lives() {
    let Named { place, mut daemon, init } = on_my_net();
    let shim = daemon.shim.take();
    drop(daemon);
    let ask = |name: &str| {
        let packet = Ask { name, ..Ask::default() }.packet();
        within(init, || {
            let socket = datagrams();
            socket.send(&packet).unwrap();
            Reply::read(&packet, &received(&socket)).addresses()
        })
    };
    assert_eq!(ask("web"), [address("172.18.0.2")]);
    write_names(&place, "My.Net", &[("web", &[], &["172.18.0.9"])]);
    assert_eq!(ask("web"), [address("172.18.0.9")]);
    let mut daemon = Daemon::connect(&place);
    daemon.shim = shim;
    Named { place, daemon, init }.end();
}

#[test]
fn a_connection_takes_several_queries() {
    let named = on_my_net();
    let packets = ["web", "db", "cache"].map(|name| Ask { name, ..Ask::default() }.packet());
    let answers = named.within(|| {
        let mut stream = connection();
        let first: Vec<Vec<u8>> = packets
            .iter()
            .map(|packet| {
                send_framed(&mut stream, packet);
                receive_framed(&mut stream)
            })
            .collect();
        // The same at once, with the end of the stream behind.
        packets.iter().for_each(|packet| send_framed(&mut stream, packet));
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let again: Vec<Vec<u8>> = packets.iter().map(|_| receive_framed(&mut stream)).collect();
        assert_eq!(rest(&mut stream), b"");
        [first, again]
    });
    for answers in answers {
        let replies = packets.iter().zip(&answers).map(|(packet, answer)| Reply::read(packet, answer));
        let addresses: Vec<IpAddr> = replies.flat_map(|reply| reply.addresses()).collect();
        assert_eq!(addresses, [address("172.18.0.2"), address("172.18.0.3"), address("172.18.0.4")]);
    }
    named.end();
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes() {
    let alias = ["a", "b", "c", "d"].map(|letter| letter.repeat(60)).join(".");
    let named = Named::sleeping(|place| {
        let addresses: Vec<String> = (1..=100).map(|last| format!("172.18.0.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        service(&[&write_names(place, "net", &[("many", &[&alias], &addresses)])], &[], &[])
    });
    let ask = |size, connection| named.ask_as(&Ask { name: &alias, size, connection, ..Ask::default() });
    let plain = ask(None, false);
    // The header, the question, and as many records of 16 bytes as fit.
    assert_eq!((plain.is_cut, plain.length, plain.records.len()), (true, 12 + 249 + 15 * 16, 15));
    let more = ask(Some(600), false);
    assert_eq!((more.is_cut, more.length, more.records.len()), (true, 12 + 249 + 21 * 16, 21));
    let whole = ask(Some(8192), false);
    assert_eq!((whole.is_cut, whole.has_opt, whole.records.len()), (false, false, 100));
    let whole = ask(None, true);
    assert_eq!((whole.is_cut, whole.records.len()), (false, 100));
    named.end();
}

#[test]
fn rules_that_an_earlier_shim_left_in_the_namespace_are_replaced() {
    let first = on_my_net();
    // A process that shares the namespace, as a container with `--net container:NAME` does.
    let mut joined = first.within(|| std::process::Command::new("sleep").arg("1000").spawn().unwrap());
    first.end();
    let start_time = sys::process::start_time(joined.id()).unwrap();
    let process = model::ProcessReference { pid: joined.id(), start_time };
    let second = Named::start_as(
        "exec sleep 1000",
        |spec| spec.namespaces.network = model::Namespace::Process(process),
        |place| service(&[&write_names(place, "net", &[("again", &[], &["172.18.0.9"])])], &[], &[]),
    );
    assert_eq!(second.addresses("again"), [address("172.18.0.9")]);
    second.end();
    joined.kill().unwrap();
    joined.wait().unwrap();
}

#[test]
fn rules_that_the_container_removed_are_made_anew_with_the_next_change() {
    let mut named = on_my_net();
    named.within(|| {
        use sys::netlink::{ACKNOWLEDGE, Message, Protocol, Socket};
        // nfnetlink's batch for nf_tables around NFT_MSG_DELTABLE of the family ip.
        let batch = |kind| Message::new(kind, 0).fixed(&[0, 0, 0, 10]);
        let delete = Message::new((10 << 8) | 2, ACKNOWLEDGE).fixed(&[2, 0, 0, 0]).string(1, "berth-names");
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        socket.request(&[batch(0x10), delete, batch(0x11)]).unwrap();
        let refused = std::net::TcpStream::connect(SERVER).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
    let path = shim_protocol::names::names_file(named.place.directory.path(), "My.Net");
    named.set(Some(service(&[&path], &[], &[])));
    assert_eq!(named.addresses("db"), [address("172.18.0.3")]);
    named.end();
}

#[test]
fn port_53_is_free_for_servers_of_the_container() {
    let named = on_my_net();
    let packet = Ask { name: "web", ..Ask::default() }.packet();
    named.within(|| {
        let own = UdpSocket::bind("0.0.0.0:53").unwrap();
        let _listener = TcpListener::bind("0.0.0.0:53").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"own", "127.0.0.1:53").unwrap();
        own.set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_eq!(received(&own), b"own");
        let socket = datagrams();
        socket.send(&packet).unwrap();
        assert_eq!(Reply::read(&packet, &received(&socket)).addresses(), [address("172.18.0.2")]);
        drop(own);
        UdpSocket::bind("127.0.0.11:53").unwrap();
    });
    named.end();
}

#[test]
fn the_containers_own_resolver_understands_it() {
    let mut named = on_my_net();
    let (mut client, theirs) = support::client();
    let id = model::ExecId::from_random([1; 32]);
    let exec = Exec {
        id: id.clone(),
        process: process(&["busybox", "nslookup", "svc.my.net", "127.0.0.11"]),
        privileged: false,
        attach: Some(support::attachment(1)),
    };
    named.daemon.ask(Request::Exec(Box::new(exec)), Some(&theirs)).unwrap();
    drop(theirs);
    let output = String::from_utf8(streams(&rest(&mut client)).0).unwrap();
    for address in ["172.18.0.2", "172.18.0.3", "172.18.0.4", "fd12::2"] {
        assert!(output.contains(&format!(": {address}\n")), "{address} in {output}");
    }
    named.end();
}

#[test]
fn a_container_in_the_hosts_network_namespace_has_no_name_service() {
    let place = Place::new();
    let mut spec = place.spec("exec sleep 1000");
    spec.namespaces.network = model::Namespace::Host;
    let mut daemon = Daemon::start(&place, &spec, &mut []);
    let names = || Request::Names(Some(Box::new(service(&[], &[], &[]))));
    let failure = daemon.ask(names(), None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    daemon.ask(Request::Names(None), None).unwrap();
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    daemon.exit();
    let failure = daemon.ask(names(), None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::WrongState);
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
}

#[test]
fn an_ended_container_keeps_no_network_namespace_alive() {
    let mut named = on_my_net();
    let namespace = std::fs::read_link(format!("/proc/{}/ns/net", named.init)).unwrap();
    let shim = named.daemon.shim.unwrap();
    let holds = || {
        let descriptors = std::fs::read_dir(format!("/proc/{shim}/fd")).unwrap();
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        links.filter(|link| *link == namespace).count()
    };
    assert_eq!(holds(), 1);
    named.daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    named.daemon.exit();
    let until = Instant::now() + TIMEOUT;
    while holds() > 0 {
        assert!(Instant::now() < until, "the namespace is still held");
    }
    named.daemon.ask(Request::Release, None).unwrap();
    named.daemon.gone();
}
