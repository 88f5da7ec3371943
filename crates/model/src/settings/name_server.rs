//! Whom a container asks for names.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A server for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameServer {
    /// The one at this address.
    Address(IpAddr),
    /// A text that is no plain address, such as one with a scope: it is left to the container's resolver.
    Other(String),
}

impl NameServer {
    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Other(text) if text.is_empty())
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
            Self::Other(text) => formatter.write_str(text),
        }
    }
}
