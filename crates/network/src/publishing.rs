//! Where a network publishes ports, and what is reached of it from outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::port::PublishedPort;

/// How a network is reachable from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GatewayMode {
    /// Published ports at the host's addresses.
    #[default]
    Translated,
    /// These, and all ports at the containers' own addresses.
    Unprotected,
    /// Published ports at the containers' own addresses; packets keep their addresses both ways.
    Routed,
    /// Nothing: the host itself has no address on the network.
    Isolated,
}

/// How a network publishes ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publishing {
    /// The host's address at which ports are published that name none; that of all of IPv4 stands for all of IPv6
    /// too.
    pub(crate) default_ip: IpAddr,
    /// How it is reachable from outside by IPv4; `None` where containers have no address of it.
    pub(crate) ipv4: Option<GatewayMode>,
    /// The same by IPv6.
    pub(crate) ipv6: Option<GatewayMode>,
    /// Whether shims relay what the kernel does not translate.
    pub(crate) relay: Relay,
}

/// Whether containers that have an address of IPv4 alone are reached at the host's addresses of IPv6, and others at its
/// loopback of IPv6, through a relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Relay {
    /// Where the host has IPv6.
    #[default]
    On,
    /// Never.
    Off,
}

impl Publishing {
    /// Of how many families containers have addresses.
    pub(crate) fn families(&self) -> usize {
        usize::from(self.ipv4.is_some()) + usize::from(self.ipv6.is_some())
    }

    pub(crate) const fn mode(&self, ip: IpAddr) -> Option<GatewayMode> {
        match ip {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        }
    }

    /// Whether a port at this address leads to a container that has no address of its family.
    pub(crate) fn is_relayed(&self, ip: IpAddr) -> bool {
        let is_translated = matches!(self.ipv4, Some(GatewayMode::Translated | GatewayMode::Unprotected));
        self.relay == Relay::On && ip.is_ipv6() && self.ipv6.is_none() && is_translated
    }

    /// Whether the host's loopback of IPv6 leads to a container that has IPv6 through a relay: where bridged packets pass the
    /// host's firewall, the kernel drops the answers of what it has translated there.
    pub(crate) const fn relays_loopback(&self) -> bool {
        let is_translated = matches!(self.ipv6, Some(GatewayMode::Translated | GatewayMode::Unprotected));
        matches!(self.relay, Relay::On) && is_translated
    }

    /// Whether a shim's socket holds a port of the host.
    pub(crate) fn is_held_by_relay(&self, port: &PublishedPort) -> bool {
        self.is_relayed(port.host_ip) || self.relays_loopback() && port.is_at_ipv6_loopback()
    }

    /// The addresses at which a port is published for this requested address.
    ///
    /// # Errors
    /// The address, where containers have none of its family.
    pub(crate) fn places(&self, asked: Option<IpAddr>) -> Result<Vec<IpAddr>, IpAddr> {
        let everywhere: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let wanted = match asked.unwrap_or(self.default_ip) {
            ip if asked.is_none() && ip == everywhere[0] => everywhere.to_vec(),
            ip => vec![ip],
        };
        let is_possible = |ip: &IpAddr| self.mode(*ip).is_some() || self.is_relayed(*ip);
        let possible: Vec<_> = wanted.iter().copied().filter(is_possible).collect();
        match possible.is_empty() {
            true => Err(wanted[0]),
            false => Ok(possible),
        }
    }
}
