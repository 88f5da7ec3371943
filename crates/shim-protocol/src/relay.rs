//! Published ports that a shim relays, since the kernel does not translate between IPv6 and IPv4.

use std::net::{SocketAddrV4, SocketAddrV6};

use model::Protocol;
use serde::{Deserialize, Serialize};

/// A port of the host's IPv6 that leads to a container which has an address of IPv4 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RelayedPort {
    /// The transport protocol of both.
    pub protocol: Protocol,
    /// Where clients come, in the network namespace of the shim, which is the host's.
    pub host: SocketAddrV6,
    /// Where they are led.
    pub container: SocketAddrV4,
}
