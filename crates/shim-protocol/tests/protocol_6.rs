//! What protocol 6 added, as bytes. These never change, see `protocol_1.rs`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use berth_shim_protocol::{Envelope, Received, RelayedPort, Request};
use model::Protocol;

const RELAY: &str =
    r#"{"number":7,"request":{"relay":[{"protocol":"tcp","host":"[::]:8080","container":"10.0.0.2:80"}]}}"#;

#[test]
fn relayed_ports_are_written_and_read_as_ever() {
    let port = RelayedPort {
        protocol: Protocol::Tcp,
        host: SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 8080, 0, 0),
        container: SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), 80)),
    };
    let request = Request::Relay(vec![port]);
    assert_eq!(request.since(), 6);
    let written = serde_json::to_string(&Envelope { number: 7, request });
    assert_eq!(written.unwrap_or_default(), RELAY);
    let read = Envelope::read(RELAY.as_bytes());
    assert!(
        matches!(read, Received::Known(Envelope { number: 7, request: Request::Relay(ports) }) if ports == [port])
    );
}
