//! Ports: their spelling, what a container asks to publish, and what is published.

mod binding;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use model::ErrorKind;
use serde::{Deserialize, Serialize};

pub use binding::{HostPort, PortRequest, exposed, plan, port_map, validate};

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

/// One published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The port in the container.
    pub container: Port,
    /// The host's address; unspecified is all of them.
    pub host_ip: Ipv4Addr,
    /// The port on the host.
    pub host_port: u16,
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
    /// Always [`ErrorKind::Refused`]: the specification documents no 400 for it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Refused
    }
}

impl Protocol {
    /// The number of the protocol in an IP header.
    pub(crate) const fn number(self) -> u8 {
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
