//! Errors of the network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use model::{ContainerId, ErrorKind, kernel_words};
use sys::netlink::RequestError;

use crate::fault::Injected;
use crate::options::OptionsError;
use crate::port::Protocol;

/// An error of the network. Its texts are those that clients show behind `Cannot start container <id>: `.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Error {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("cannot open a netlink socket")]
    Socket { source: io::Error },
    #[error("cannot {act} interface {name}: {source}")]
    Interface { act: &'static str, name: String, source: RequestError },
    #[error("cannot {act} address {address} of {name}: {source}")]
    Address { act: &'static str, address: String, name: String, source: RequestError },
    #[error("cannot {act}: {source}")]
    List { act: &'static str, source: RequestError },
    #[error("bridge {0} does not exist")]
    NoBridge(String),
    #[error("{0} is not a bridge")]
    NotABridge(String),
    #[error("bridge {0} has no IPv4 address")]
    BridgeWithoutAddress(String),
    #[error(
        "bridge {name} has the address {present}, which running containers use; {asked} needs them stopped"
    )]
    BridgeInUse { name: String, present: String, asked: String },
    #[error(
        "a running container has the address {address}, to which the bridge that is asked for does not lead; \
         stop the containers before you choose another one"
    )]
    RunningElsewhere { address: IpAddr },
    #[error(
        "Could not find a free IP address range for interface '{0}'. \
         Please configure its address manually and run 'berth daemon -b {0}'"
    )]
    NoFreeNetwork(String),
    #[error("the parent interface {0} was not found on this host")]
    NoParent(String),
    #[error("invalid parent interface {0}: {1}")]
    UnusableParent(String, &'static str),
    #[error("this kernel has no interfaces of the kind {kind}, which needs the module {kind}: {source}")]
    KindMissing { kind: &'static str, source: RequestError },
    #[error("the engine runs without a bridge")]
    Disabled,
    #[error(
        "a container is in 26 networks of bridges at most: its interfaces have no more names on the host"
    )]
    NoInterfaceName,
    #[error("no available ip addresses on network {0}")]
    NoFreeAddress(String),
    #[error("container {0} has an endpoint already")]
    Connected(ContainerId),
    #[error("container {0} has no endpoint")]
    NotConnected(ContainerId),
    #[error("Address already in use: {0}")]
    AddressInUse(IpAddr),
    #[error("address {address} is not in the subnet {whole}")]
    AddressOutside { address: IpAddr, whole: String },
    #[error("address {address} of container {container} belongs to another container")]
    AddressTaken { address: IpAddr, container: ContainerId },
    #[error("Bind for {0} failed: port is already allocated")]
    PortAllocated(SocketAddr),
    #[error("listen {protocol} {address}: bind: {}", kernel_words(.reason))]
    PortBind { protocol: Protocol, address: SocketAddr, reason: io::Error },
    #[error(
        "cannot publish a port at {0}: the container has no address of that family in the network that leads out"
    )]
    NoAddressToPublish(IpAddr),
    #[error(
        "cannot publish {wanted} ports: {held} are published, and {limit} can be (three quarters of the descriptors \
         that the engine may have)"
    )]
    TooManyPorts { wanted: usize, held: usize, limit: usize },
    #[error("all ports are allocated")]
    NoFreePort,
    #[error("cannot change the firewall: {source}")]
    Firewall { source: RequestError },
    #[error(
        "this kernel lacks nf_tables or a part of it that published ports and masquerading need \
         (nf_tables, nft_nat, nft_masq, nft_ct, nft_fib, sets); load it or start with --iptables=false: {source}"
    )]
    FirewallMissing { source: RequestError },
    #[error("cannot forget tracked connections of {address}: {source}")]
    Conntrack { address: IpAddr, source: RequestError },
    #[error("cannot set {path} to {value}: {source}")]
    Setting { path: PathBuf, value: &'static str, source: io::Error },
    #[error("cannot {act} {path}: {source}")]
    File { act: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot make the host forward packets of {bridge}: {text}")]
    HostForwarding { bridge: String, text: String },
    #[error(transparent)]
    Injected(#[from] Injected),
    #[error("{first}; undoing it left behind: {}", .rest.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several { first: Box<Error>, rest: Vec<Error> },
}

impl Error {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Options(error) => error.kind(),
            Self::Several { first, .. } => first.kind(),
            Self::PortAllocated(_)
            | Self::PortBind { .. }
            | Self::NoFreePort
            | Self::TooManyPorts { .. }
            | Self::NoFreeAddress(_)
            | Self::BridgeInUse { .. }
            | Self::RunningElsewhere { .. }
            | Self::NoInterfaceName
            | Self::NoFreeNetwork(_) => ErrorKind::Conflict,
            Self::Disabled | Self::NoBridge(_) | Self::NotABridge(_) | Self::BridgeWithoutAddress(_) => {
                ErrorKind::Invalid
            }
            Self::NoParent(_) | Self::UnusableParent(..) => ErrorKind::Invalid,
            Self::FirewallMissing { .. } | Self::KindMissing { .. } => ErrorKind::Unsupported,
            Self::AddressInUse(_) => ErrorKind::Forbidden,
            Self::AddressOutside { .. } | Self::NoAddressToPublish(_) => ErrorKind::Invalid,
            Self::Socket { .. }
            | Self::Interface { .. }
            | Self::Address { .. }
            | Self::List { .. }
            | Self::Connected(_)
            | Self::NotConnected(_)
            | Self::AddressTaken { .. }
            | Self::Firewall { .. }
            | Self::Conntrack { .. }
            | Self::Setting { .. }
            | Self::File { .. }
            | Self::HostForwarding { .. }
            | Self::Injected(_) => ErrorKind::Internal,
        }
    }

    /// Whether the only cause is that the requested address or port is in use.
    #[must_use]
    pub const fn is_about_what_others_hold(&self) -> bool {
        matches!(
            self,
            Self::PortAllocated(_)
                | Self::PortBind { .. }
                | Self::NoFreePort
                | Self::TooManyPorts { .. }
                | Self::NoFreeAddress(_)
                | Self::AddressInUse(_)
        )
    }

    /// Adds what went wrong while the failure was undone.
    pub(crate) fn with(self, rest: Vec<Self>) -> Self {
        if rest.is_empty() { self } else { Self::Several { first: Box::new(self), rest } }
    }
}
