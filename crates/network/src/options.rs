//! The daemon's flags for networking, parsed and checked before anything is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::ErrorKind;

use crate::publishing::{GatewayMode, Publishing, Relay};
use crate::subnet::{InterfaceAddress, Subnet};

/// The default name of the engine's own bridge.
pub const DEFAULT_BRIDGE: &str = "berth0";

/// An interface's name is at most this long (`IFNAMSIZ` without its final zero).
pub(crate) const LONGEST_LINK_NAME: usize = 15;

/// Which bridge containers are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BridgeChoice {
    /// A bridge of the engine's own: made when it is missing, adopted when it is there.
    Own {
        /// Its name, [`DEFAULT_BRIDGE`].
        name: String,
        /// Its address (`--bip`); `None` keeps the present one or chooses a free network.
        address: Option<InterfaceAddress>,
    },
    /// A bridge that was made and configured elsewhere (`--bridge NAME`).
    Existing(String),
    /// A bridge that was made elsewhere, to which a network adds its own addresses.
    Shared {
        /// Its name.
        name: String,
        /// The network's address of IPv4.
        address: Option<InterfaceAddress>,
        /// The addresses that it had before the network: they stay when the network goes.
        kept: Vec<IpAddr>,
    },
    /// No bridge: containers of the mode `bridge` get only a loopback (`--bridge none`).
    None,
}

/// The daemon's flags for networking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `--bridge` and `--bip`.
    pub bridge: BridgeChoice,
    /// `--fixed-cidr`: the part of the bridge's network from which containers get addresses.
    pub fixed_cidr: Option<Subnet>,
    /// `--mtu`; `None` takes that of the interface of the default route.
    pub mtu: Option<u32>,
    /// Whether containers have addresses of IPv4.
    pub ipv4: bool,
    /// Their options of IPv6; `None` without it.
    pub ipv6: Option<Ipv6Options>,
    /// `--ip`: the host's address at which ports are published that name none; that of all of IPv4 stands for all of
    /// IPv6 too.
    pub default_host_ip: IpAddr,
    /// `--userland-proxy`: whether shims relay what the kernel does not translate.
    pub relay: Relay,
    /// `--icc`: whether containers reach each other without a link.
    pub inter_container_communication: bool,
    /// `--ip-masq`: whether outbound connections take the host's address.
    pub masquerade: bool,
    /// Which of IPv4 they take; `None` for that of the interface by which they leave.
    pub source: Option<Ipv4Addr>,
    /// `--ip-forward`: whether the engine turns the host's forwarding on.
    pub forward: bool,
    /// `--iptables`: whether the engine makes firewall rules at all.
    pub firewall: bool,
    /// `--ip6tables`: whether it makes such of IPv6.
    pub ipv6_firewall: bool,
    /// Whether its containers reach only each other.
    pub internal: bool,
    /// Whether the bridge gets the host's address of IPv4.
    pub has_host_ipv4: bool,
    /// How hosts outside reach containers by IPv4.
    pub gateway_mode: GatewayMode,
    /// Interfaces of the host from which published ports are reached at the containers' own addresses too.
    pub trusted_interfaces: Vec<String>,
    /// Other networks, which are not open yet: a bridge that gets a free network gets none of these.
    pub others: Vec<Subnet>,
    /// Addresses of IPv4 of the network that are in use elsewhere.
    pub reserved: Vec<Ipv4Addr>,
    /// Whether other interfaces of the host may have addresses of the network.
    pub host_addresses: HostAddresses,
    /// Which free address a container gets.
    pub order: AddressOrder,
}

/// The options of a network for IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6Options {
    /// The host's address on it.
    pub address: Ipv6Address,
    /// The part of it from which containers get addresses.
    pub range: Option<Subnet<Ipv6Addr>>,
    /// Addresses that are in use elsewhere.
    pub reserved: Vec<Ipv6Addr>,
    /// The host's address that outbound connections take; `None` for that of the interface by which they leave.
    pub source: Option<Ipv6Addr>,
    /// How hosts outside reach containers.
    pub gateway_mode: GatewayMode,
}

/// The host's address of IPv6 on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6Address {
    /// This one.
    Exactly(InterfaceAddress<Ipv6Addr>),
    /// The one that the bridge has, or that running containers use; this one if there is none.
    PresentOr(InterfaceAddress<Ipv6Addr>),
}

/// Whether interfaces of the host but the bridge may have addresses of a network: no container can have these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostAddresses {
    /// The host's interfaces are checked.
    #[default]
    Possible,
    /// The network was chosen where the host has none.
    None,
}

/// Which free address a container gets by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressOrder {
    /// The next in turn, so that a released one comes last.
    #[default]
    Turn,
    /// The lowest.
    Lowest,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bridge: BridgeChoice::Own { name: DEFAULT_BRIDGE.to_owned(), address: None },
            fixed_cidr: None,
            mtu: None,
            ipv4: true,
            ipv6: None,
            default_host_ip: Ipv4Addr::UNSPECIFIED.into(),
            relay: Relay::default(),
            inter_container_communication: true,
            masquerade: true,
            source: None,
            forward: true,
            firewall: true,
            ipv6_firewall: true,
            internal: false,
            has_host_ipv4: true,
            gateway_mode: GatewayMode::default(),
            trusted_interfaces: Vec::new(),
            others: Vec::new(),
            reserved: Vec::new(),
            host_addresses: HostAddresses::default(),
            order: AddressOrder::default(),
        }
    }
}

/// The flags contradict each other or name something impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum OptionsError {
    #[error("You specified -b & --bip, mutually exclusive options. Please specify only one.")]
    BridgeAndAddress,
    #[error(
        "You specified --iptables=false with --icc=false. ICC uses iptables to function. \
         Please set --icc or --iptables to true."
    )]
    IsolationWithoutFirewall,
    #[error(
        "invalid bridge name {0:?}: 1 to 15 characters, no slash, blank, colon or percent sign, and neither all nor default"
    )]
    BridgeName(String),
    #[error("--fixed-cidr {part} is not a part of the bridge's network {whole}")]
    FixedCidr { part: Subnet, whole: Subnet },
    #[error("--bip {0} is no address of a host in its network")]
    Address(InterfaceAddress),
    #[error("--fixed-cidr-v6 {part} is not a part of the bridge's network {whole}")]
    Ipv6Range { part: Subnet<Ipv6Addr>, whole: Subnet<Ipv6Addr> },
    #[error("{0} is no address of a host in its network")]
    Ipv6Address(InterfaceAddress<Ipv6Addr>),
    #[error("invalid MTU {0}: IPv6 needs at least 1280 bytes")]
    Ipv6Mtu(u32),
    #[error("invalid MTU {0}: 68 to 65535 are possible")]
    Mtu(u32),
}

impl OptionsError {
    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Options {
    /// Reads `--bridge` and `--bip` together; empty strings are flags not given.
    ///
    /// # Errors
    /// [`OptionsError::BridgeAndAddress`] when both are given.
    pub fn choose_bridge(
        bridge: &str,
        address: Option<InterfaceAddress>,
    ) -> Result<BridgeChoice, OptionsError> {
        match (bridge, address) {
            ("none", _) => Ok(BridgeChoice::None),
            ("" | DEFAULT_BRIDGE, address) => {
                Ok(BridgeChoice::Own { name: DEFAULT_BRIDGE.to_owned(), address })
            }
            (_, Some(_)) => Err(OptionsError::BridgeAndAddress),
            (name, None) => Ok(BridgeChoice::Existing(name.to_owned())),
        }
    }

    /// Checks what can be checked without the kernel.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !self.firewall && !self.inter_container_communication {
            return Err(OptionsError::IsolationWithoutFirewall);
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !(68..=65535).contains(mtu)) {
            return Err(OptionsError::Mtu(mtu));
        }
        if let Some(ipv6) = &self.ipv6 {
            ipv6.check(self.mtu)?;
        }
        match &self.bridge {
            BridgeChoice::None => Ok(()),
            BridgeChoice::Existing(name) => check_name(name),
            BridgeChoice::Own { name, address } | BridgeChoice::Shared { name, address, .. } => {
                check_name(name)?;
                match address {
                    Some(address) => self.check_address(*address),
                    None => Ok(()),
                }
            }
        }
    }

    /// Whether the bridge gets the host's address of IPv6.
    pub(crate) fn has_host_ipv6(&self) -> bool {
        self.ipv6.as_ref().is_some_and(|ipv6| ipv6.gateway_mode != GatewayMode::Isolated)
    }

    /// How ports are published.
    pub(crate) fn publishing(&self) -> Publishing {
        Publishing {
            default_ip: self.default_host_ip,
            ipv4: self.ipv4.then_some(self.gateway_mode),
            ipv6: self.ipv6.as_ref().map(|ipv6| ipv6.gateway_mode),
            relay: self.relay,
        }
    }

    fn check_address(&self, address: InterfaceAddress) -> Result<(), OptionsError> {
        let whole = address.subnet();
        if !whole.hosts().contains(&address.address) {
            return Err(OptionsError::Address(address));
        }
        match self.fixed_cidr {
            Some(part) if !whole.includes(part) => Err(OptionsError::FixedCidr { part, whole }),
            _ => Ok(()),
        }
    }
}

/// The least MTU of IPv6, RFC 8200, section 5.
const LEAST_IPV6_MTU: u32 = 1280;

impl Ipv6Options {
    fn check(&self, mtu: Option<u32>) -> Result<(), OptionsError> {
        let (Ipv6Address::Exactly(address) | Ipv6Address::PresentOr(address)) = self.address;
        let whole = address.subnet();
        if !whole.hosts().contains(&address.address) {
            return Err(OptionsError::Ipv6Address(address));
        }
        if let Some(part) = self.range.filter(|part| !whole.includes(*part)) {
            return Err(OptionsError::Ipv6Range { part, whole });
        }
        match mtu.filter(|mtu| *mtu < LEAST_IPV6_MTU) {
            Some(mtu) => Err(OptionsError::Ipv6Mtu(mtu)),
            None => Ok(()),
        }
    }
}

fn check_name(name: &str) -> Result<(), OptionsError> {
    match is_interface_name(name) {
        true => Ok(()),
        false => Err(OptionsError::BridgeName(name.to_owned())),
    }
}

/// Whether an interface may have this name: the kernel makes others of those with `%`, and `all` and `default` are not
/// interfaces among its settings.
#[must_use]
pub fn is_interface_name(name: &str) -> bool {
    let fits = (1..=LONGEST_LINK_NAME).contains(&name.len());
    let clean = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte));
    fits && clean && !matches!(name, "." | ".." | "all" | "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_flags_are_read_together() {
        let address: InterfaceAddress = "10.1.0.1/24".parse().expect("an address");
        assert_eq!(Options::choose_bridge("none", None), Ok(BridgeChoice::None));
        assert_eq!(
            Options::choose_bridge("", Some(address)),
            Ok(BridgeChoice::Own { name: "berth0".into(), address: Some(address) })
        );
        assert_eq!(Options::choose_bridge("br1", None), Ok(BridgeChoice::Existing("br1".into())));
        assert_eq!(Options::choose_bridge("br1", Some(address)), Err(OptionsError::BridgeAndAddress));
    }

    #[test]
    fn contradictions_are_refused() {
        let own = |name: &str, address: &str| BridgeChoice::Own {
            name: name.into(),
            address: Some(address.parse().expect("an address")),
        };
        let base = Options::default();
        assert_eq!(base.check(), Ok(()));
        for bad in [
            Options { firewall: false, inter_container_communication: false, ..base.clone() },
            Options { mtu: Some(67), ..base.clone() },
            Options { bridge: own("a/b", "10.1.0.1/24"), ..base.clone() },
            Options { bridge: own("br%d", "10.1.0.1/24"), ..base.clone() },
            Options { bridge: own("sixteenletters00", "10.1.0.1/24"), ..base.clone() },
            Options { bridge: own("br0", "10.1.0.0/24"), ..base.clone() },
            Options { bridge: own("br0", "10.1.0.255/24"), ..base.clone() },
            Options {
                bridge: own("br0", "10.1.0.1/24"),
                fixed_cidr: "10.2.0.0/25".parse().ok(),
                ..base.clone()
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
