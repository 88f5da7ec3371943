//! What protocol 3 added, as bytes. These never change, see `protocol_1.rs`.

use berth_shim_protocol::names::{Link, NameService, NamesOfNetwork, Upstream, UpstreamNamespace};
use berth_shim_protocol::{Envelope, Received, Request};

const NAMES: &str = r#"{"number":4,"request":{"names":{"networks":[{"file":"/run/n.names","links":[{"alias":"db","container":"web"}]}],"upstream":[{"address":"10.0.0.1","namespace":"container"},{"address":"fd00::1","namespace":"host"}],"keeps_single_labels":true}}}"#;

const NO_NAMES: &str = r#"{"number":5,"request":{"names":null}}"#;

fn service() -> NameService {
    let upstream = |address: [u8; 4], namespace| Upstream { address: address.into(), namespace };
    let links = vec![Link { alias: "db".to_owned(), container: "web".to_owned() }];
    let mut upstream = vec![
        upstream([10, 0, 0, 1], UpstreamNamespace::Container),
        upstream([0; 4], UpstreamNamespace::Host),
    ];
    upstream[1].address = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into();
    NameService {
        networks: vec![NamesOfNetwork { file: "/run/n.names".into(), links }],
        upstream,
        keeps_single_labels: true,
    }
}

#[test]
fn a_name_service_is_written_and_read_as_ever() {
    for (number, service, bytes) in [(4, Some(service()), NAMES), (5, None, NO_NAMES)] {
        let request = Request::Names(service.clone().map(Box::new));
        assert_eq!(request.since(), 3);
        let written = serde_json::to_string(&Envelope { number, request });
        assert_eq!(written.unwrap_or_default(), bytes);
        let Received::Known(Envelope { request: Request::Names(read), .. }) =
            Envelope::read(bytes.as_bytes())
        else {
            panic!("it is read");
        };
        assert_eq!(read.map(|read| *read), service);
    }
}
