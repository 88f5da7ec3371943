//! One container's place in the network: its address and the ports published for it.

use std::net::Ipv4Addr;

use model::{ContainerId, InterfaceConfig};
use serde::{Deserialize, Serialize};

use crate::port::{Port, PortRequest, PublishedPort};
use model::MacAddress;

/// The name of a container's first interface inside.
pub const INTERFACE_NAME: &str = "eth0";

/// What a container wants of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose endpoint it becomes.
    pub container: ContainerId,
    /// The address that it is to have; `None` takes a free one.
    pub address: Option<Ipv4Addr>,
    /// `Config.MacAddress`; `None` derives it from the address.
    pub mac: Option<MacAddress>,
    /// The name of its interface inside, [`INTERFACE_NAME`] for its first.
    pub interface_name: String,
    /// What the container may send.
    pub source_check: SourceCheck,
    /// What to publish, as [`crate::port::plan`] gives it.
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
    /// Also from those that belong to nobody on the network, with its own hardware address: for a
    /// container that may configure itself as a router (`NET_ADMIN`).
    Loose,
}

/// One container's place in the network. The engine saves it and hands it to
/// [`crate::Network::open`] again, so that a restart hands out nothing twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Whose it is.
    pub container: ContainerId,
    /// Its address on the bridge's network.
    pub address: Ipv4Addr,
    /// The length of that network's prefix.
    pub prefix_length: u8,
    /// The bridge's address, through which everything else is reached.
    pub gateway: Ipv4Addr,
    /// Whether nothing but its own network is reached.
    #[serde(default)]
    pub internal: bool,
    /// The hardware address of its interface.
    pub mac: MacAddress,
    /// The name of its interface inside.
    #[serde(default = "first_interface")]
    pub interface_name: String,
    /// What the container may send.
    #[serde(default)]
    pub source_check: SourceCheck,
    /// The name of its link's end on the host.
    pub link: String,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// What others may reach of it or it of others while `--icc=false`.
    #[serde(default)]
    pub exceptions: Vec<LinkException>,
}

/// A way from one container to a port of another that stays open while `--icc=false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkException {
    /// The container that may connect.
    pub from: Ipv4Addr,
    /// The container that is reached.
    pub to: Ipv4Addr,
    /// The port that is reached.
    pub port: Port,
}

impl Endpoint {
    /// How the container's init configures its interface.
    #[must_use]
    pub fn interface(&self) -> InterfaceConfig {
        InterfaceConfig {
            name: self.interface_name.clone(),
            address: self.address,
            prefix_length: self.prefix_length,
            gateway: self.default_gateway(),
        }
    }

    /// Through which everything else is reached; an internal network leads nowhere.
    #[must_use]
    pub fn default_gateway(&self) -> Option<Ipv4Addr> {
        (!self.internal).then_some(self.gateway)
    }
}

/// Endpoints of earlier releases do not tell; they are their containers' only ones.
fn first_interface() -> String {
    INTERFACE_NAME.to_owned()
}

pub(crate) const LINK_PREFIX: &str = "bt";

/// Names the host's end of a container's link: `bt`, the id's first 12 digits, and a letter that
/// differs from that of the container's previous start, whose link may not be quite gone yet.
pub(crate) fn link_name(container: &ContainerId, generation: u32) -> String {
    let letter = char::from_digit(10 + generation % 26, 36).unwrap_or('a');
    format!("{LINK_PREFIX}{}{letter}", container.short())
}

/// Whether a link of this name is one of an engine like this one.
pub(crate) fn is_link_name(name: &str) -> bool {
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
    fn links_are_named_after_their_container() {
        let container = ContainerId::from_random([0xab; 32]);
        let names: Vec<_> = (0..3).map(|generation| link_name(&container, generation)).collect();
        assert_eq!(names, ["btababababababa", "btababababababb", "btababababababc"]);
        assert!(names.iter().all(|name| name.len() == 15 && is_link_name(name)));
        for other in ["berth0", "btabababababa", "bt954569eb16e5A", "veth954569eb16e", "btabababababé"] {
            assert!(!is_link_name(other), "{other}");
        }
    }
}
