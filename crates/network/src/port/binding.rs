//! `PortBindings`, `ExposedPorts` and `PublishAllPorts`: checked at create, planned at start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::{PortBinding, PortMap};

use super::{Port, PortError, PublishedPort};

/// One port to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRequest {
    /// The port in the container.
    pub container: Port,
    /// The host's address; `None` is the daemon's default (`--ip`).
    pub host_ip: Option<Ipv4Addr>,
    /// The port on the host.
    pub host_port: HostPort,
}

/// Which port on the host is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPort {
    /// Any of the ephemeral range.
    Ephemeral,
    /// The first free one from the first to the second, both included; one port where both are
    /// the same.
    Range(u16, u16),
}

impl HostPort {
    /// Parses `8080`, `8000-8010`, or nothing or `0` for any.
    fn parse(text: &str) -> Result<Self, PortError> {
        let error = || PortError::Specification(text.to_owned());
        let number = |digits: &str| digits.parse::<u16>().map_err(|_| error());
        match text.split_once('-') {
            None if text.is_empty() => Ok(Self::Ephemeral),
            None => match number(text)? {
                0 => Ok(Self::Ephemeral),
                port => Ok(Self::Range(port, port)),
            },
            Some((first, last)) => match (number(first)?, number(last)?) {
                (first, last) if first != 0 && first <= last => Ok(Self::Range(first, last)),
                _ => Err(error()),
            },
        }
    }
}

/// Checks `HostConfig.PortBindings` as creating a container does.
///
/// # Errors
/// The first port that is no number, or range that is none; of the container's side only
/// single numbers are right. Protocols are looked at when the container starts.
pub fn validate(bindings: &PortMap) -> Result<(), PortError> {
    for (key, places) in bindings {
        let number = key.split_once('/').map_or(key.as_str(), |(number, _)| number);
        if !number.is_empty() && number.parse::<u16>().is_err() {
            return Err(PortError::Specification(number.to_owned()));
        }
        for place in places.iter().flatten() {
            HostPort::parse(&place.host_port)?;
        }
    }
    Ok(())
}

/// Reads the keys of `ExposedPorts`, ranges (`8000-8002/tcp`) included. Keys that name no port
/// are passed over, as nothing can be published by them.
#[must_use]
pub fn exposed<'a>(keys: impl IntoIterator<Item = &'a String>) -> BTreeSet<Port> {
    let mut ports = BTreeSet::new();
    for key in keys {
        let (numbers, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (Ok(first), Ok(last), Ok(protocol)) = (first.parse(), last.parse(), protocol.parse()) else {
            continue;
        };
        ports.extend(
            (first..=last).filter(|number: &u16| *number != 0).map(|number| Port { number, protocol }),
        );
    }
    ports
}

/// Decides what to publish of the exposed ports: their bindings, and with `publish_all`
/// (`PublishAllPorts`) an ephemeral port for those that have none.
///
/// # Errors
/// A host address, protocol or port that is none.
pub fn plan(
    exposed: &BTreeSet<Port>,
    bindings: &PortMap,
    publish_all: bool,
) -> Result<Vec<PortRequest>, PortError> {
    let mut wanted: BTreeMap<Port, Vec<&PortBinding>> = BTreeMap::new();
    for (key, places) in bindings {
        let places: Vec<_> = places.iter().flatten().collect();
        // What is not exposed is not published, however it is spelled.
        match key.parse::<Port>() {
            Ok(port) => wanted.entry(port).or_default().extend(places),
            Err(error @ PortError::Protocol(_)) if !places.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    let mut requests = Vec::new();
    for port in exposed {
        let places = wanted.get(port).map(Vec::as_slice).unwrap_or_default();
        for place in places {
            requests.push(PortRequest {
                container: *port,
                host_ip: parse_host_ip(&place.host_ip)?,
                host_port: HostPort::parse(&place.host_port)?,
            });
        }
        if places.is_empty() && publish_all {
            requests.push(PortRequest { container: *port, host_ip: None, host_port: HostPort::Ephemeral });
        }
    }
    Ok(requests)
}

fn parse_host_ip(text: &str) -> Result<Option<Ipv4Addr>, PortError> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| PortError::HostIp(text.to_owned())),
    }
}

/// Shows `NetworkSettings.Ports`: every exposed port, with the places where it is published.
#[must_use]
pub fn port_map(exposed: &BTreeSet<Port>, published: &[PublishedPort]) -> PortMap {
    let mut map: PortMap = exposed.iter().map(|port| (port.to_string(), None)).collect();
    for port in published {
        map.entry(port.container.to_string())
            .or_default()
            .get_or_insert_default()
            .push(PortBinding { host_ip: port.host_ip.to_string(), host_port: port.host_port.to_string() });
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(entries: &[(&str, &[(&str, &str)])]) -> PortMap {
        let place = |(ip, port): &(&str, &str)| PortBinding {
            host_ip: (*ip).to_owned(),
            host_port: (*port).to_owned(),
        };
        entries
            .iter()
            .map(|(key, places)| ((*key).to_owned(), Some(places.iter().map(place).collect())))
            .collect()
    }

    fn ports(keys: &[&str]) -> BTreeSet<Port> {
        exposed(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn create_refuses_what_is_no_port() {
        for (key, host, quoted) in [
            ("80/tcp", "70000", "70000"),
            ("70000/tcp", "", "70000"),
            ("80-82/tcp", "8080", "80-82"),
            ("80/tcp", "abc", "abc"),
            ("abc/tcp", "80", "abc"),
            ("80/tcp", "8085-8080", "8085-8080"),
            ("80/tcp", "-1", "-1"),
        ] {
            let error = validate(&bindings(&[(key, &[("", host)])])).expect_err(key);
            assert_eq!(error.to_string(), format!("Invalid port specification: {quoted:?}"));
        }
        for (key, host) in [
            ("80", ""),
            ("80/tcp", "0"),
            ("80/foo", "80"),
            ("0/tcp", "80"),
            ("", "80"),
            ("80/tcp", "8000-8010"),
        ] {
            assert_eq!(validate(&bindings(&[(key, &[("foo", host)])])), Ok(()), "{key} {host}");
        }
        assert_eq!(validate(&PortMap::from([("80/tcp".to_owned(), None)])), Ok(()));
    }

    #[test]
    fn exposed_ports_expand_and_sort() {
        let shown: Vec<_> = ports(&["80", "8000-8002/tcp", "53/UDP", "abc", "", "/tcp", "80/foo", "0"])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"]);
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
                    host_ip: Some(Ipv4Addr::LOCALHOST),
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

    #[test]
    fn the_port_map_shows_unpublished_ports_as_null() {
        let port: Port = "80/tcp".parse().expect("a port");
        let published = PublishedPort { container: port, host_ip: Ipv4Addr::UNSPECIFIED, host_port: 32768 };
        let map = port_map(&ports(&["80/tcp", "53/udp"]), &[published]);
        let json = serde_json::to_string(&map).expect("json");
        assert_eq!(json, r#"{"53/udp":null,"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"32768"}]}"#);
    }
}
