//! Ports of a container: their spelling, and where on the host they are published.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Spelled;
use crate::ErrorKind;

/// A transport protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A port of a container, spelled `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// Of which protocol.
    pub protocol: Protocol,
}

/// A port is not spelled as ports are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum PortError {
    #[error("Invalid port specification: {0:?}")]
    Specification(String),
    #[error("Invalid proto: {0}")]
    Protocol(String),
    #[error("Invalid ip address: {0}")]
    HostIp(String),
}

impl PortError {
    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Protocol {
    /// The number of the protocol in an IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl FromStr for Protocol {
    type Err = PortError;
    fn from_str(text: &str) -> Result<Self, PortError> {
        if text.is_empty() || text.eq_ignore_ascii_case("tcp") {
            Ok(Self::Tcp)
        } else if text.eq_ignore_ascii_case("udp") {
            Ok(Self::Udp)
        } else {
            Err(PortError::Protocol(text.to_owned()))
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.protocol)
    }
}

impl FromStr for Port {
    type Err = PortError;

    /// Parses `80/tcp`, `53/udp` or `80`, which is tcp.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let number = number
            .parse()
            .ok()
            .filter(|parsed| *parsed != 0)
            .ok_or_else(|| PortError::Specification(number.to_owned()))?;
        Ok(Self { number, protocol: protocol.parse()? })
    }
}

impl TryFrom<String> for Port {
    type Error = PortError;
    fn try_from(text: String) -> Result<Self, PortError> {
        text.parse()
    }
}

impl From<Port> for String {
    fn from(port: Port) -> Self {
        port.to_string()
    }
}

/// Ports that a container declares to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExposedPorts {
    /// One port, or from the first to the last.
    Range {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
        /// Of both.
        protocol: Protocol,
    },
    /// A text that names no port: it is shown, and nothing can be published by it.
    Nothing,
}

impl ExposedPorts {
    /// The port, where it is one.
    #[must_use]
    pub fn single(self) -> Option<Port> {
        match self {
            Self::Range { first: number @ 1.., last, protocol } if last == number => {
                Some(Port { number, protocol })
            }
            Self::Range { .. } | Self::Nothing => None,
        }
    }

    /// The ports one by one.
    pub fn ports(self) -> impl Iterator<Item = Port> {
        let range = match self {
            Self::Range { first, last, protocol } => Some((first.max(1)..=last, protocol)),
            Self::Nothing => None,
        };
        range.into_iter().flat_map(|(numbers, protocol)| numbers.map(move |number| Port { number, protocol }))
    }
}

/// Every text is taken, ranges (`8000-8002/tcp`) included.
impl FromStr for ExposedPorts {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        Ok(match (first.parse(), last.parse(), protocol.parse()) {
            (Ok(first), Ok(last), Ok(protocol)) => Self::Range { first, last, protocol },
            _ => Self::Nothing,
        })
    }
}

impl fmt::Display for ExposedPorts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { first, last, protocol } if first == last => write!(formatter, "{first}/{protocol}"),
            Self::Range { first, last, protocol } => write!(formatter, "{first}-{last}/{protocol}"),
            Self::Nothing => Ok(()),
        }
    }
}

/// Ports of a container and where on the host each is published; `None` is shown as it was given.
pub type PortBindings = BTreeMap<Spelled<BoundPort>, Option<Vec<PortBinding>>>;

/// The container's side of a published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundPort {
    /// A port.
    Port(Port),
    /// An unknown protocol: the container does not start with it.
    UnknownProtocol(String),
    /// No port, or port 0: nothing is published.
    Nothing,
}

impl FromStr for BoundPort {
    type Err = PortError;

    /// Parses `80/tcp`: single numbers alone are right. Protocols matter when the container starts.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let number = text.split_once('/').map_or(text, |(number, _)| number);
        if !number.is_empty() && number.parse::<u16>().is_err() {
            return Err(PortError::Specification(number.to_owned()));
        }
        Ok(match text.parse::<Port>() {
            Ok(port) => Self::Port(port),
            Err(PortError::Protocol(protocol)) => Self::UnknownProtocol(protocol),
            Err(_) => Self::Nothing,
        })
    }
}

impl fmt::Display for BoundPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => port.fmt(formatter),
            Self::UnknownProtocol(protocol) => write!(formatter, "/{protocol}"),
            Self::Nothing => Ok(()),
        }
    }
}

/// One place on the host where a port is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBinding {
    /// The host's address.
    pub host_ip: HostAddress,
    /// The port on the host.
    pub host_port: Spelled<HostPort>,
}

/// The address of the host at which a port is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum HostAddress {
    /// The daemon's default.
    #[default]
    Default,
    /// This one.
    Address(IpAddr),
    /// A text that is no address: the container does not start with it.
    Unusable(String),
}

impl From<String> for HostAddress {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(address) => Self::Address(address),
            Err(_) if text.is_empty() => Self::Default,
            Err(_) => Self::Unusable(text),
        }
    }
}

impl From<HostAddress> for String {
    fn from(address: HostAddress) -> Self {
        match address {
            HostAddress::Default => Self::new(),
            HostAddress::Address(address) => address.to_string(),
            HostAddress::Unusable(text) => text,
        }
    }
}

/// The requested port on the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostPort {
    /// Any of the ephemeral range.
    #[default]
    Ephemeral,
    /// The first free one from the first to the second, both included; one port where both are
    /// the same.
    Range(u16, u16),
}

impl FromStr for HostPort {
    type Err = PortError;

    /// Parses `8080`, `8000-8010`, or nothing or `0` for any.
    fn from_str(text: &str) -> Result<Self, PortError> {
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

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ephemeral => Ok(()),
            Self::Range(first, last) if first == last => write!(formatter, "{first}"),
            Self::Range(first, last) => write!(formatter, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_port_is_refused() {
        for (text, quoted) in [("70000/tcp", "70000"), ("80-82/tcp", "80-82"), ("abc/tcp", "abc")] {
            let error = text.parse::<BoundPort>().expect_err(text);
            assert_eq!(error.to_string(), format!("Invalid port specification: {quoted:?}"));
        }
        for text in ["70000", "abc", "8085-8080", "-1", "0-5"] {
            let error = text.parse::<HostPort>().expect_err(text);
            assert_eq!(error.to_string(), format!("Invalid port specification: {text:?}"));
        }
    }

    #[test]
    fn spellings_are_kept() {
        for text in ["80", "80/tcp", "80/TCP", "80/foo", "0/tcp", ""] {
            assert_eq!(Spelled::<BoundPort>::parse(text).expect(text).to_string(), text);
        }
        for text in ["", "0", "8080", "08080", "8000-8010"] {
            assert_eq!(Spelled::<HostPort>::parse(text).expect(text).to_string(), text);
        }
        for text in ["", "127.0.0.1", "foo", "::1"] {
            assert_eq!(String::from(HostAddress::from(text.to_owned())), text);
        }
        for text in ["80", "8000-8002/tcp", "53/UDP", "abc", "", "80/foo"] {
            let Ok(exposed) = Spelled::<ExposedPorts>::parse(text);
            assert_eq!(exposed.to_string(), text);
        }
    }

    #[test]
    fn ranges_are_several_ports() {
        let count = |text: &str| text.parse::<ExposedPorts>().map(|exposed| exposed.ports().count());
        assert_eq!([count("8000-8002/tcp"), count("0"), count("abc")], [Ok(3), Ok(0), Ok(0)]);
    }
}
