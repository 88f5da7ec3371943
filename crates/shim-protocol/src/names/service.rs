//! The name service of one shim, as the daemon sends it in [`crate::Request::Names`].

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name service of one container. It answers at 127.0.0.11, port 53, in the container's network
/// namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameService {
    /// The networks that the container is on, in the order of look-ups.
    pub networks: Vec<NamesOfNetwork>,
    /// The servers to which queries for other names are forwarded, in this order; at most three are.
    pub upstream: Vec<Upstream>,
    /// Whether other names of one label are answered with no address instead of being sent upstream, as is
    /// right where resolv.conf has `ndots` above 0 and the client adds its search domains.
    pub keeps_single_labels: bool,
}

/// One network's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesOfNetwork {
    /// Its file, see [`super::NamesFile`].
    pub file: PathBuf,
    /// Names that this container alone has for others of the network.
    pub links: Vec<Link>,
}

/// A name for a container's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The queried name, in any case.
    pub alias: String,
    /// The linked container's name, alias or short id in the network's file. It needs not be there yet.
    pub container: String,
}

/// A server for other names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its address; it listens at port 53.
    pub address: IpAddr,
    /// From where it is queried.
    pub namespace: UpstreamNamespace,
}

/// A network namespace from which a server is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamNamespace {
    /// The container's: a server that was given for it. Its loopback is the container's own.
    Container,
    /// The host's: a server of the host's resolv.conf, which may be on the host's loopback.
    Host,
}
