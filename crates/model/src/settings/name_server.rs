//! A server that a container's resolver queries.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A server that a container's resolver queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameServer {
    /// At this address.
    Address(IpAddr),
    /// A word that is no address by itself, as `fe80::1%eth0`: the container's resolver judges it.
    Other(String),
}

impl NameServer {
    /// Whether it names nothing: it counts as not given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Other(word) => word.is_empty(),
        }
    }

    /// Its address, if it has one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Other(_) => None,
        }
    }
}

impl FromStr for NameServer {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Other(text.to_owned()), Self::Address))
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Other(word) => formatter.write_str(word),
        }
    }
}
