//! Published ports that a shim relays, since the kernel does not translate between IPv6 and IPv4, nor always from the
//! loopback of IPv6.

use std::net::{SocketAddr, SocketAddrV6};

use model::Protocol;
use serde::{Deserialize, Serialize};

/// A port of the host's IPv6 that leads to a container: one that has an address of IPv4 alone, or, at the host's loopback,
/// one of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RelayedPort {
    /// The transport protocol of both.
    pub protocol: Protocol,
    /// Where clients come, in the network namespace of the shim, which is the host's.
    pub host: SocketAddrV6,
    /// Where they are led.
    pub container: SocketAddr,
}
