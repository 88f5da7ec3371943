//! The definition of a network.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// All requested properties of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkDefinition {
    /// Its name: any text but an empty one.
    pub name: String,
    /// The driver.
    pub driver: NetworkDriver,
    /// Whether containers get addresses of IPv4.
    pub ipv4: bool,
    /// Whether containers get addresses of IPv6.
    pub ipv6: bool,
    /// Whether its containers reach only each other.
    pub internal: bool,
    /// Whether containers that are not part of services may join it; shown again.
    pub attachable: bool,
    /// Whether it is only a configuration that other networks take over.
    pub config_only: bool,
    /// The network whose configuration it uses.
    pub config_from: Option<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the address management; shown again.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// The addresses that it has.
    pub pools: Vec<Pool>,
}

/// The driver of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkDriver {
    /// A Linux bridge.
    #[default]
    Bridge,
    /// The host's network namespace.
    Host,
    /// Nothing but a loopback.
    Null,
    /// Interfaces with hardware addresses of their own on one of the host's.
    Macvlan,
    /// Interfaces with the hardware address of one of the host's.
    Ipvlan,
    /// A network over several hosts.
    Overlay,
}

/// No driver has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin {0:?} not found")]
pub struct UnknownDriver(pub String);

impl NetworkDriver {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Overlay => "overlay",
        }
    }
}

impl FromStr for NetworkDriver {
    type Err = UnknownDriver;

    fn from_str(text: &str) -> Result<Self, UnknownDriver> {
        let all = [Self::Bridge, Self::Host, Self::Null, Self::Macvlan, Self::Ipvlan, Self::Overlay];
        match text {
            "" | "default" => Ok(Self::Bridge),
            text => {
                let known = all.into_iter().find(|driver| driver.name() == text);
                known.ok_or_else(|| UnknownDriver(text.to_owned()))
            }
        }
    }
}

/// Requested addresses of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The whole network.
    pub subnet: Option<Cidr>,
    /// The part of it that containers get addresses of.
    pub range: Option<Cidr>,
    /// The address of the host, through which everything else is reached.
    pub gateway: Option<IpAddr>,
    /// Addresses that are in use elsewhere, by names.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// An address and the length of its network's prefix; bits beyond the prefix are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// The length, up to 32 or 128.
    pub prefix_length: u8,
}

impl Cidr {
    /// The first address of the network.
    #[must_use]
    pub fn base(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_length)).unwrap_or(0);
                Ipv4Addr::from(u32::from(address) & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_length)).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) & mask).into()
            }
        }
    }

    /// Whether the address is one of the network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let same_family = address.is_ipv4() == self.address.is_ipv4();
        same_family && Self { address, ..self }.base() == self.base()
    }
}

/// A text is no `address/length`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network of the form ADDRESS/LENGTH")]
pub struct CidrError(pub String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let malformed = || CidrError(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(malformed)?;
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_length = length.parse().ok().filter(|length| digits && *length <= longest);
        Ok(Self { address, prefix_length: prefix_length.ok_or_else(malformed)? })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_length)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;
    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_and_a_length() {
        for text in ["10.0.0.1/24", "fd00::/64", "0.0.0.0/0", "::1/128"] {
            assert_eq!(text.parse::<Cidr>().map(|cidr| cidr.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "fd00::/129", "foo/8", "10.0.0.0/"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError(text.to_owned())));
        }
    }

    #[test]
    fn a_network_contains_its_addresses() {
        let cidr = |text: &str| text.parse::<Cidr>().expect(text);
        let address = |text: &str| text.parse::<IpAddr>().expect(text);
        assert_eq!(cidr("10.0.0.9/29").base(), address("10.0.0.8"));
        assert_eq!(cidr("fd00::9/64").base(), address("fd00::"));
        assert!(
            cidr("10.0.0.0/8").contains(address("10.255.0.1"))
                && cidr("0.0.0.0/0").contains(address("1.2.3.4"))
        );
        assert!(
            !cidr("10.0.0.0/8").contains(address("11.0.0.1")) && !cidr("::/0").contains(address("1.2.3.4"))
        );
    }

    #[test]
    fn drivers_have_names() {
        assert_eq!("".parse(), Ok(NetworkDriver::Bridge));
        assert_eq!("null".parse(), Ok(NetworkDriver::Null));
        let unknown = "nope".parse::<NetworkDriver>().expect_err("no driver");
        assert_eq!(unknown.to_string(), "plugin \"nope\" not found");
    }
}
