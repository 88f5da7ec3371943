//! Ports: the requested bindings, and the published ones.

mod binding;

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

pub use binding::{PortRequest, plan};
pub use model::{HostPort, Port, PortError, Protocol};

/// One published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The port in the container.
    pub container: Port,
    /// The host's address; unspecified is all of them.
    pub host_ip: IpAddr,
    /// The port on the host; 0 of one that is reached at the container's own address alone.
    pub host_port: u16,
}

impl PublishedPort {
    /// Whether clients of the host reach it at its loopback of IPv6.
    pub(crate) fn is_at_ipv6_loopback(&self) -> bool {
        self.host_ip == Ipv6Addr::UNSPECIFIED || self.host_ip == Ipv6Addr::LOCALHOST
    }
}
