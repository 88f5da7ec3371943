//! The requested hardware address of a container's first interface.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::{MacAddress, MacAddressError};

/// The requested hardware address of a container's first interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HardwareAddress {
    /// One that is derived from the interface's address.
    #[default]
    Derived,
    /// This one.
    Address(MacAddress),
    /// A text that no interface can have: the container can be made and does not start.
    Unusable(MacAddressError),
}

impl FromStr for HardwareAddress {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "" => Self::Derived,
            text => text.parse().map_or_else(Self::Unusable, Self::Address),
        })
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Derived => Ok(()),
            Self::Address(address) | Self::Unusable(MacAddressError::NotUnicast(address)) => {
                address.fmt(formatter)
            }
            Self::Unusable(MacAddressError::Malformed(text)) => formatter.write_str(text),
        }
    }
}
