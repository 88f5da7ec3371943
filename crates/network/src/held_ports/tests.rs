//! Holding ports of a host without other programs: each test has a network namespace of its own, so that no
//! program of the machine and no other test takes a port meanwhile. Needs root.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use super::*;

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;
const HERE: Publishing = Publishing {
    default_ip: IpAddr::V4(LOCAL),
    ipv4: Some(GatewayMode::Translated),
    ipv6: None,
    relay: Relay::On,
};

fn request(port: &str, host_port: HostPort) -> PortRequest {
    PortRequest { container: port.parse().expect("a port"), host_ip: Some(LOCAL.into()), host_port }
}

/// Runs a test in a network namespace of its own, where only the loopback is.
fn alone(test: fn()) {
    let run = move || {
        sys::network_namespace::unshare().expect("root may unshare");
        sys::network_namespace::raise_loopback().expect("raised");
        test();
    };
    std::thread::spawn(run).join().expect("the test ends well");
}

/// A port that is free.
fn free_port() -> u16 {
    let listener = TcpListener::bind((LOCAL, 0)).expect("a listener");
    listener.local_addr().expect("an address").port()
}

fn number(held: &[Held]) -> u16 {
    held[0].port.host_port
}

#[test]
fn a_held_port_is_refused_to_everybody_and_refuses_clients() {
    alone(|| {
        let mut book = PortBook::new(40000..=40010);
        let port = free_port();
        let wish = request("80/tcp", HostPort::Range(port, port));
        let held = book.hold(&[wish], &HERE).expect("held");
        let error = book.hold(&[wish], &HERE).expect_err("taken");
        assert_eq!(error.to_string(), format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        let any = PortRequest { host_ip: Some(Ipv4Addr::UNSPECIFIED.into()), ..wish };
        assert!(matches!(book.hold(&[any], &HERE), Err(Error::PortAllocated(_))));
        assert!(TcpListener::bind((LOCAL, port)).is_err());
        assert!(TcpStream::connect((LOCAL, port)).is_err());
        let mut other_engine = PortBook::new(40000..=40010);
        assert!(matches!(other_engine.hold(&[wish], &HERE), Err(Error::PortBind { .. })));
        book.release(held);
        assert!(TcpListener::bind((LOCAL, port)).is_ok());
        book.hold(&[wish], &HERE).expect("free again");
    });
}

#[test]
fn a_program_with_the_port_is_named_otherwise() {
    alone(|| {
        let listener = TcpListener::bind((LOCAL, 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let mut book = PortBook::new(40000..=40010);
        let error = book.hold(&[request("80/tcp", HostPort::Range(port, port))], &HERE).expect_err("taken");
        let text = format!("listen tcp 127.0.0.1:{port}: bind: address already in use");
        assert_eq!(error.to_string(), text);
        let udp = UdpSocket::bind((LOCAL, 0)).expect("a socket");
        let port = udp.local_addr().expect("an address").port();
        assert!(book.hold(&[request("80/udp", HostPort::Range(port, port))], &HERE).is_err());
        book.hold(&[request("80/tcp", HostPort::Range(port, port))], &HERE).expect("tcp is another port");
    });
}

#[test]
fn a_failure_frees_what_was_held_before_it() {
    alone(|| {
        let mut book = PortBook::new(40000..=40010);
        let port = free_port();
        let wish = request("80/tcp", HostPort::Range(port, port));
        assert!(book.hold(&[wish, wish], &HERE).is_err());
        book.hold(&[wish], &HERE).expect("free");
    });
}

#[test]
fn ranges_and_ephemeral_ports_pass_over_taken_ones() {
    alone(|| {
        let listener = TcpListener::bind((LOCAL, 0)).expect("a listener");
        let taken = listener.local_addr().expect("an address").port();
        let mut book = PortBook::new(taken..=taken.saturating_add(20));
        let range = HostPort::Range(taken, taken.saturating_add(20));
        let first = book.hold(&[request("80/tcp", range)], &HERE).expect("held");
        assert!(number(&first) > taken);
        let second = book.hold(&[request("80/tcp", HostPort::Ephemeral)], &HERE).expect("held");
        assert!(number(&second) > number(&first));
        book.release(second);
        let third = book.hold(&[request("80/tcp", HostPort::Ephemeral)], &HERE).expect("held");
        assert!(number(&third) > number(&first), "the next in turn");
    });
}

#[test]
fn past_connections_do_not_hold_a_port() {
    alone(|| {
        let listener = TcpListener::bind((LOCAL, 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let client = TcpStream::connect((LOCAL, port)).expect("connected");
        let (server, _) = listener.accept().expect("accepted");
        // The side that closes first waits in TIME_WAIT.
        drop(server);
        drop(client);
        drop(listener);
        let mut book = PortBook::new(40000..=40010);
        book.hold(&[request("80/tcp", HostPort::Range(port, port))], &HERE).expect("held");
    });
}

#[test]
fn an_address_of_another_host_cannot_be_held() {
    alone(|| {
        let mut book = PortBook::new(40000..=40010);
        let elsewhere = PortRequest {
            host_ip: Some(Ipv4Addr::new(192, 0, 2, 254).into()),
            ..request("80/tcp", HostPort::Range(8080, 8080))
        };
        assert!(matches!(book.hold(&[elsewhere], &HERE), Err(Error::PortBind { .. })));
    });
}
