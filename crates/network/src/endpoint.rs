//! One container's place in the network: its address and the ports published for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{ContainerId, InterfaceAddressConfig, InterfaceConfig};
use serde::{Deserialize, Serialize};

use crate::port::{Port, PortRequest, PublishedPort};
use model::MacAddress;

/// The name of a container's first interface inside.
pub const INTERFACE_NAME: &str = "eth0";

/// A container's request to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The container.
    pub container: ContainerId,
    /// The address of IPv4 that it is to have; `None` takes a free one.
    pub address: Option<Ipv4Addr>,
    /// The same of IPv6.
    pub ipv6_address: Option<Ipv6Addr>,
    /// `Config.MacAddress`; `None` derives it from the address.
    pub mac: Option<MacAddress>,
    /// The name of its interface inside, [`INTERFACE_NAME`] for its first.
    pub interface_name: String,
    /// The check of the container's source addresses.
    pub source_check: SourceCheck,
    /// The ports to publish, by [`crate::port::plan`].
    pub ports: Vec<PortRequest>,
}

/// From which addresses packets of a container pass its port of the bridge; the terms are those of
/// RFC 3704.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceCheck {
    /// Only from the container's own.
    #[default]
    Strict,
    /// Also from addresses that are not in use on the network, with its own hardware address: for a container
    /// that may configure itself as a router (`NET_ADMIN`).
    Loose,
}

/// One container's place in the network. The engine saves it and passes it to [`crate::Network::open`] again,
/// so that nothing is assigned twice after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container.
    pub container: ContainerId,
    /// Its lease of IPv4; `None` on a network of IPv6 alone.
    #[serde(flatten)]
    pub ipv4: Option<AddressLease<Ipv4Addr>>,
    /// Its lease of IPv6.
    #[serde(default)]
    pub ipv6: Option<AddressLease<Ipv6Addr>>,
    /// Whether nothing but its own network is reached.
    #[serde(default)]
    pub internal: bool,
    /// The hardware address of its interface.
    pub mac: MacAddress,
    /// The name of its interface inside.
    #[serde(default = "first_interface")]
    pub interface_name: String,
    /// The check of the container's source addresses.
    #[serde(default)]
    pub source_check: SourceCheck,
    /// The name of its interface's end on the host; empty without one.
    #[serde(rename = "link")]
    pub host_interface: String,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// Whether its shim relays what comes to its ports at the host's loopback of IPv6, which the kernel does not always
    /// translate.
    #[serde(default)]
    pub relays_loopback: bool,
    /// Interfaces of the host from which its published ports are reached at its own addresses. They follow from the
    /// network.
    #[serde(skip)]
    pub trusted_interfaces: Vec<String>,
    /// The exceptions of its links while `--icc=false`.
    #[serde(default)]
    pub exceptions: Vec<LinkException>,
}

/// An address of a container on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressLease<A> {
    /// The address.
    pub address: A,
    /// The length of the network's prefix.
    pub prefix_length: u8,
    /// The host's address there, through which everything else is reached; a router's on a parent; unspecified where
    /// the interface itself leads everywhere.
    pub gateway: A,
}

/// A way from one container to a port of another that stays open while `--icc=false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkException {
    /// The container that may connect.
    pub from: IpAddr,
    /// The container that is reached.
    pub to: IpAddr,
    /// The port that is reached.
    pub port: Port,
}

/// A port of another container that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedPort {
    /// The container.
    pub container: ContainerId,
    /// The port.
    pub port: Port,
}

impl Endpoint {
    /// How the container's init configures its interface.
    #[must_use]
    pub fn interface(&self) -> InterfaceConfig {
        InterfaceConfig {
            name: self.interface_name.clone(),
            ipv4: self.ipv4.map(|AddressLease { address, prefix_length, .. }| InterfaceAddressConfig {
                address,
                prefix_length,
                gateway: self.default_gateway(),
            }),
            has_ipv6: self.ipv6.is_some(),
        }
    }

    /// Whether a published port is relayed: one of the host's IPv6, where the container has IPv4 alone.
    #[must_use]
    pub const fn is_relayed(&self, port: &PublishedPort) -> bool {
        port.host_ip.is_ipv6() && self.ipv6.is_none() && self.ipv4.is_some() && port.host_port != 0
    }

    /// Whether a published port of a container that has IPv6 is relayed for clients of the host itself that come to its
    /// loopback of IPv6.
    #[must_use]
    pub fn is_relayed_at_loopback(&self, port: &PublishedPort) -> bool {
        self.relays_loopback && self.ipv6.is_some() && port.is_at_ipv6_loopback() && port.host_port != 0
    }

    /// Its addresses, that of IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.places().map(|(address, _)| address)
    }

    /// Its addresses, each with the host's on the same network.
    pub(crate) fn places(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + use<> {
        let ipv4 = self.ipv4.map(|lease| (lease.address.into(), lease.gateway.into()));
        ipv4.into_iter().chain(self.ipv6.map(|lease| (lease.address.into(), lease.gateway.into())))
    }

    /// Through which everything else is reached by IPv4; an internal network has none, nor one whose default route
    /// leads to the interface itself.
    #[must_use]
    pub fn default_gateway(&self) -> Option<Ipv4Addr> {
        self.ipv4_default_route().filter(|gateway| !gateway.is_unspecified())
    }

    /// The same by IPv6.
    #[must_use]
    pub fn ipv6_default_gateway(&self) -> Option<Ipv6Addr> {
        self.ipv6_default_route().filter(|gateway| !gateway.is_unspecified())
    }

    /// Where the default route of IPv4 leads that it gives: to a gateway, or, unspecified, to the interface itself.
    #[must_use]
    pub fn ipv4_default_route(&self) -> Option<Ipv4Addr> {
        self.ipv4.filter(|_| !self.internal).map(|lease| lease.gateway)
    }

    /// The same of IPv6.
    #[must_use]
    pub fn ipv6_default_route(&self) -> Option<Ipv6Addr> {
        self.ipv6.filter(|_| !self.internal).map(|lease| lease.gateway)
    }
}

/// The default hardware address of an interface: it follows from its address.
pub(crate) fn hardware_address(ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>) -> MacAddress {
    let of_ipv6 = || ipv6.map_or(0, |address| fnv(&address.octets()));
    MacAddress::of(ipv4.unwrap_or_else(|| of_ipv6().into()))
}

/// FNV-1a of bytes.
pub(crate) fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The address that an interface of this hardware address has on its link alone (RFC 4291, appendix A).
pub(crate) fn link_local(mac: MacAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.bytes();
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// Endpoints of earlier releases do not name it; they are their containers' only ones.
fn first_interface() -> String {
    INTERFACE_NAME.to_owned()
}

pub(crate) const LINK_PREFIX: &str = "bt";

/// Names the host's end of a container's interface: `bt`, the id's first 12 digits, and a letter that differs
/// from that of the container's previous start, whose interface may not be quite gone yet.
pub(crate) fn host_interface_name(container: &ContainerId, generation: u32) -> String {
    let letter = char::from_digit(10 + generation % 26, 36).unwrap_or('a');
    format!("{LINK_PREFIX}{}{letter}", container.short())
}

/// Whether an interface of this name is one of an engine like this one.
pub(crate) fn is_host_interface_name(name: &str) -> bool {
    let Some((digits, letter)) = name.strip_prefix(LINK_PREFIX).and_then(|rest| rest.split_at_checked(12))
    else {
        return false;
    };
    digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && matches!(letter.as_bytes(), [b'a'..=b'z'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_local_address_follows_from_the_hardware_address() {
        let mac: MacAddress = "02:42:ac:11:00:02".parse().expect("an address");
        assert_eq!(link_local(mac).to_string(), "fe80::42:acff:fe11:2");
    }

    #[test]
    fn what_earlier_releases_saved_is_read() {
        let text = format!(
            r#"{{"container":"{}","address":"10.0.0.2","prefix_length":24,"gateway":"10.0.0.1","mac":"02:42:0a:00:00:02","link":"bt","ports":[]}}"#,
            "ab".repeat(32)
        );
        let endpoint: Endpoint = serde_json::from_str(&text).expect("an endpoint");
        let [address, gateway] = [2, 1].map(|last| Ipv4Addr::new(10, 0, 0, last));
        assert_eq!(endpoint.ipv4, Some(AddressLease { address, prefix_length: 24, gateway }));
        assert_eq!(endpoint.ipv6, None);
    }

    #[test]
    fn interfaces_are_named_after_their_container() {
        let container = ContainerId::from_random([0xab; 32]);
        let names: Vec<_> = (0..3).map(|generation| host_interface_name(&container, generation)).collect();
        assert_eq!(names, ["btababababababa", "btababababababb", "btababababababc"]);
        assert!(names.iter().all(|name| name.len() == 15 && is_host_interface_name(name)));
        for other in ["berth0", "btabababababa", "bt954569eb16e5A", "veth954569eb16e", "btabababababé"] {
            assert!(!is_host_interface_name(other), "{other}");
        }
    }
}
