//! Ports: what a container asks to publish, and what is published.

mod binding;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

pub use binding::{PortRequest, plan};
pub use model::{HostPort, Port, PortError, Protocol};

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
