//! Which ports a start publishes, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{BoundPort, HostAddress, HostPort, PortBinding, PortBindings};

use super::{Port, PortError};

/// One port to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRequest {
    /// The port in the container.
    pub container: Port,
    /// The host's address; `None` is the daemon's default (`--ip`).
    pub host_ip: Option<IpAddr>,
    /// The port on the host.
    pub host_port: HostPort,
}

/// Decides what to publish of the exposed ports: their bindings, and with `publish_all`
/// (`PublishAllPorts`) an ephemeral port for those that have none.
///
/// # Errors
/// An invalid host address, protocol or port.
pub fn plan(
    exposed: &BTreeSet<Port>,
    bindings: &PortBindings,
    publish_all: bool,
) -> Result<Vec<PortRequest>, PortError> {
    let mut wanted: BTreeMap<Port, Vec<&PortBinding>> = BTreeMap::new();
    for (key, places) in bindings {
        let places: Vec<_> = places.iter().flatten().collect();
        // What is not exposed is not published, however it is spelled.
        match &**key {
            BoundPort::Port(port) => wanted.entry(*port).or_default().extend(places),
            BoundPort::UnknownProtocol(protocol) if !places.is_empty() => {
                return Err(PortError::Protocol(protocol.clone()));
            }
            BoundPort::UnknownProtocol(_) | BoundPort::Nothing => {}
        }
    }
    let mut requests = Vec::new();
    for port in exposed {
        let places = wanted.get(port).map(Vec::as_slice).unwrap_or_default();
        for place in places {
            requests.push(PortRequest {
                container: *port,
                host_ip: host_ip(&place.host_ip)?,
                host_port: *place.host_port,
            });
        }
        if places.is_empty() && publish_all {
            requests.push(PortRequest { container: *port, host_ip: None, host_port: HostPort::Ephemeral });
        }
    }
    Ok(requests)
}

fn host_ip(address: &HostAddress) -> Result<Option<IpAddr>, PortError> {
    match address {
        HostAddress::Default => Ok(None),
        HostAddress::Address(address) => Ok(Some(*address)),
        HostAddress::Unusable(text) => Err(PortError::HostIp(text.clone())),
    }
}

#[cfg(test)]
mod tests {
    use model::Spelled;

    use super::*;

    fn bindings(entries: &[(&str, &[(&str, &str)])]) -> PortBindings {
        let place = |(ip, port): &(&str, &str)| PortBinding {
            host_ip: (*ip).to_owned().into(),
            host_port: Spelled::parse(port).expect("a port of the host"),
        };
        let entry = |(key, places): &(&str, &[(&str, &str)])| {
            (Spelled::parse(key).expect("a port"), Some(places.iter().map(place).collect()))
        };
        entries.iter().map(entry).collect()
    }

    fn ports(keys: &[&str]) -> BTreeSet<Port> {
        keys.iter().map(|key| key.parse().expect("a port")).collect()
    }

    #[test]
    fn only_exposed_ports_are_planned() {
        let map = bindings(&[("80", &[("127.0.0.1", "8080"), ("", "8000-8010")]), ("81/tcp", &[("", "1")])]);
        let planned = plan(&ports(&["80/tcp", "82/tcp"]), &map, false).expect("a plan");
        let port = "80/tcp".parse().expect("a port");
        assert_eq!(
            planned,
            [
                PortRequest {
                    container: port,
                    host_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                    host_port: HostPort::Range(8080, 8080)
                },
                PortRequest { container: port, host_ip: None, host_port: HostPort::Range(8000, 8010) },
            ]
        );
        assert_eq!(plan(&ports(&["80/tcp", "82/udp"]), &map, true).expect("a plan").len(), 3);
    }

    #[test]
    fn a_bad_address_or_protocol_stops_the_start() {
        let exposed = ports(&["80/tcp"]);
        let error = plan(&exposed, &bindings(&[("80/tcp", &[("foo", "")])]), false);
        assert_eq!(error, Err(PortError::HostIp("foo".into())));
        let error = plan(&exposed, &bindings(&[("80/foo", &[("", "")])]), false);
        assert_eq!(error, Err(PortError::Protocol("foo".into())));
    }
}
