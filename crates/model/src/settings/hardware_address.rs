//! Hardware addresses of containers' interfaces.

use std::convert::Infallible;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string is no hardware address that an interface can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacAddressError {
    /// Not six bytes.
    #[error("address {0}: invalid MAC address")]
    Malformed(String),
    /// A group's address, or all zero.
    #[error("could not set mac address {0} for container interface eth0: cannot assign requested address")]
    NotUnicast(MacAddress),
}

/// A hardware address of six bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Derives the address from that of the interface: `02:42` and its four bytes.
    #[must_use]
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The address of these bytes, which an interface has.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = MacAddressError;

    /// Parses `12:34:56:78:9a:bc`, `12-34-56-78-9a-bc` or `1234.5678.9abc`.
    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let malformed = || MacAddressError::Malformed(text.to_owned());
        let (separator, digits) = match text.as_bytes().get(2) {
            Some(b':') => (':', 2),
            Some(b'-') => ('-', 2),
            _ => ('.', 4),
        };
        let groups: Vec<&str> = text.split(separator).collect();
        let well_formed =
            |group: &&str| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit());
        if groups.len() * digits != 12 || !groups.iter().all(well_formed) {
            return Err(malformed());
        }
        let number = u64::from_str_radix(&groups.concat(), 16).map_err(|_| malformed())?;
        let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
        let address = Self([a, b, c, d, e, f]);
        if a & 1 == 1 || number == 0 { Err(MacAddressError::NotUnicast(address)) } else { Ok(address) }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;
    fn try_from(text: String) -> Result<Self, MacAddressError> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The hardware address that is asked for an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HardwareAddress {
    /// One that is made of the interface's IP address.
    #[default]
    Derived,
    /// This one.
    Address(MacAddress),
    /// A text that is no address of an interface: the container does not start with it.
    Unusable(MacAddressError),
}

impl FromStr for HardwareAddress {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse() {
            _ if text.is_empty() => Self::Derived,
            Ok(address) => Self::Address(address),
            Err(error) => Self::Unusable(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_parse() {
        for text in ["12:34:56:78:9a:bc", "12-34-56-78-9A-bc", "1234.5678.9abc"] {
            assert_eq!(text.parse::<MacAddress>().map(|mac| mac.to_string()), Ok("12:34:56:78:9a:bc".into()));
        }
        for text in ["", "foo", "12:34:56:78:9a", "12:34:56:78:9a:bc:de", "12:34-56:78:9a:bc", "1:2:3:4:5:6"]
        {
            assert_eq!(text.parse::<MacAddress>(), Err(MacAddressError::Malformed(text.into())));
        }
        for text in ["ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:00:5e:00:00:01"] {
            assert!(matches!(text.parse::<MacAddress>(), Err(MacAddressError::NotUnicast(_))));
        }
    }

    #[test]
    fn the_address_gives_the_hardware_address() {
        assert_eq!(MacAddress::of(Ipv4Addr::new(172, 17, 0, 126)).to_string(), "02:42:ac:11:00:7e");
    }

    #[test]
    fn what_is_asked_for_is_written_as_it_was() {
        for text in ["", "02:42:ac:11:00:99", "foo", "ff:ff:ff:ff:ff:ff"] {
            let Ok(asked) = text.parse::<HardwareAddress>();
            assert_eq!(asked.to_string(), text);
        }
    }
}
