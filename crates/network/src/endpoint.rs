//! One container's place in the network: its address and the ports published for it.

use std::net::Ipv4Addr;

use model::{ContainerId, InterfaceConfig};
use serde::{Deserialize, Serialize};

use crate::mac::MacAddress;
use crate::port::{Port, PortRequest};

/// The name of a container's interface inside.
pub const INTERFACE_NAME: &str = "eth0";

/// What a container wants of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose endpoint it becomes.
    pub container: ContainerId,
    /// `Config.MacAddress`; `None` derives it from the address.
    pub mac: Option<MacAddress>,
    /// What to publish, as [`crate::port::plan`] gives it.
    pub ports: Vec<PortRequest>,
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
    /// The hardware address of its interface.
    pub mac: MacAddress,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// What others may reach of it or it of others while `--icc=false`.
    #[serde(default)]
    pub openings: Vec<Opening>,
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

/// A way from one container to a port of another that stays open while `--icc=false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Opening {
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
            name: INTERFACE_NAME.to_owned(),
            address: self.address,
            prefix_length: self.prefix_length,
            gateway: Some(self.gateway),
        }
    }

    /// The name of the link's end on the host: `bth` and the id's first 12 digits.
    #[must_use]
    pub fn link_name(&self) -> String {
        link_name(&self.container)
    }
}

pub(crate) const LINK_PREFIX: &str = "bth";

pub(crate) fn link_name(container: &ContainerId) -> String {
    format!("{LINK_PREFIX}{}", container.short())
}

/// Whether a link of this name is one of an engine like this one.
pub(crate) fn is_link_name(name: &str) -> bool {
    name.strip_prefix(LINK_PREFIX).is_some_and(|digits| {
        digits.len() == 12 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}
