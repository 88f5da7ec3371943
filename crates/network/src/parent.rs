//! The options of networks on an interface of the host: containers have interfaces of their own on the
//! parent, and their traffic does not pass the host.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::subnet::{InterfaceAddress, Subnet};

/// The options of a network on a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentOptions {
    /// The interface that containers' interfaces are on.
    pub parent: ParentChoice,
    /// How they share it.
    pub sharing: Sharing,
    /// Its addresses of IPv4.
    pub ipv4: Option<ParentAddresses<Ipv4Addr>>,
    /// Its addresses of IPv6.
    pub ipv6: Option<ParentAddresses<Ipv6Addr>>,
    /// The MTU of interfaces inside; `None` takes the parent's.
    pub mtu: Option<u32>,
    /// Whether its containers have no default route there.
    pub internal: bool,
}

/// An interface that networks are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentChoice {
    /// One of the host's. If it does not exist, and the name is that of an existing one with `.` and a number
    /// appended, it is made: the VLAN of this number.
    Named(String),
    /// A dummy of this name, without a connection to the outside.
    Dummy(String),
}

impl ParentChoice {
    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        let (Self::Named(name) | Self::Dummy(name)) = self;
        name
    }
}

/// The addresses of one family on a network that is on a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentAddresses<A> {
    /// The router through which everything else is reached; nothing of this host's.
    pub gateway: InterfaceAddress<A>,
    /// The part from which containers get addresses.
    pub range: Option<Subnet<A>>,
    /// Addresses that are in use elsewhere.
    pub reserved: Vec<A>,
}

/// How interfaces share their parent; the terms are those of ip-link(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each has a hardware address of its own.
    Macvlan(MacvlanMode),
    /// All have that of the parent.
    Ipvlan {
        /// The layer at which packets are forwarded.
        mode: IpvlanMode,
        /// The isolation between them.
        flag: IpvlanFlag,
    },
}

/// The isolation between interfaces of the kind macvlan on one parent, numbered as in linux/if_link.h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum MacvlanMode {
    /// Nothing.
    Private = 1,
    /// Packets by way of a switch that sends them back.
    Vepa = 2,
    /// Everything, at once.
    #[default]
    Bridge = 4,
    /// There is one interface, which has the parent for itself.
    Passthru = 8,
}

/// The forwarding of an ipvlan, numbered as in linux/if_link.h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u16)]
pub enum IpvlanMode {
    /// The containers resolve neighbours.
    #[default]
    L2 = 0,
    /// The parent's host routes, and there is no broadcast.
    L3 = 1,
    /// The same, and the host's firewall sees packets both ways.
    L3s = 2,
}

/// The isolation between interfaces of the kind ipvlan on one parent, numbered as in linux/if_link.h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u16)]
pub enum IpvlanFlag {
    /// Everything.
    #[default]
    Bridge = 0,
    /// Nothing.
    Private = 1,
    /// Packets by way of a switch that sends them back.
    Vepa = 2,
}

impl Sharing {
    /// The kind of the interfaces, which is also the name of the kernel's module.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
        }
    }

    /// Whether the interfaces have a router: where the host routes there is no other.
    pub(crate) const fn has_router(self) -> bool {
        !matches!(self, Self::Ipvlan { mode: IpvlanMode::L3 | IpvlanMode::L3s, .. })
    }

    /// Whether interfaces may have hardware addresses that others have not.
    pub(crate) const fn has_own_addresses(self) -> bool {
        matches!(self, Self::Macvlan(MacvlanMode::Private | MacvlanMode::Vepa | MacvlanMode::Bridge))
    }
}
