//! Where a network publishes ports, and what is reached of it from outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is reached of a network from outside, and how.
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
    /// What is reached from outside by IPv4; `None` where containers have no address of it.
    pub(crate) ipv4: Option<GatewayMode>,
    /// The same by IPv6.
    pub(crate) ipv6: Option<GatewayMode>,
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

    /// The addresses at which a port is published that asks for this one.
    ///
    /// # Errors
    /// The address, where containers have none of its family.
    pub(crate) fn places(&self, asked: Option<IpAddr>) -> Result<Vec<IpAddr>, IpAddr> {
        let everywhere: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let wanted = match asked.unwrap_or(self.default_ip) {
            ip if asked.is_none() && ip == everywhere[0] => everywhere.to_vec(),
            ip => vec![ip],
        };
        let possible: Vec<_> = wanted.iter().copied().filter(|ip| self.mode(*ip).is_some()).collect();
        match possible.is_empty() {
            true => Err(wanted[0]),
            false => Ok(possible),
        }
    }
}
