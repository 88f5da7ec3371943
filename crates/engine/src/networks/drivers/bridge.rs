//! The driver `bridge`: its options, and what the host gets for a network of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{NetworkDefinition, NetworkId};
use network::{AddressOrder, BridgeChoice, GatewayMode, HostAddresses, Ipv6Address, Ipv6Options};

use super::options::{bad, gateway_address, mtu};
use crate::error::Error;
use crate::networks::families::{Family, pool_of, subnet};
use crate::networks::record::NetworkRecord;

const NAME: &str = "com.docker.network.bridge.name";
const COMMUNICATE: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const HOST_ADDRESS: &str = "com.docker.network.bridge.host_binding_ipv4";
const GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const IPV6_GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_ipv6";
const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
const SOURCE: &str = "com.docker.network.host_ipv4";
const IPV6_SOURCE: &str = "com.docker.network.host_ipv6";
const TRUSTED_INTERFACES: &str = "com.docker.network.bridge.trusted_host_interfaces";

/// A network's parsed options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choices {
    /// The bridge's name; `None` makes one of the network's id.
    bridge: Option<String>,
    mtu: Option<u32>,
    communicate: bool,
    masquerade: bool,
    host_address: Option<Ipv4Addr>,
    has_host_ipv4: bool,
    gateway_mode: GatewayMode,
    ipv6_gateway_mode: GatewayMode,
    trusted_interfaces: Vec<String>,
    source: Option<Ipv4Addr>,
    ipv6_source: Option<Ipv6Addr>,
}

impl Choices {
    /// Parses the options; those of other drivers and unknown ones are only shown again.
    ///
    /// # Errors
    /// An invalid value.
    pub(super) fn of(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let text = |name: &str| options.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let truth = |name: &str, default: bool| match text(name) {
            None => Ok(default),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(value) => Err(bad(name, value, "it is neither true nor false")),
        };
        let ipv4 = |name: &str| match text(name).map(|value| (value, value.parse())) {
            None => Ok(None),
            Some((_, Ok(address))) => Ok(Some(address)),
            Some((value, Err(_))) => Err(bad(name, value, "it is no address of IPv4")),
        };
        let ipv6_source = match text(IPV6_SOURCE).map(|value| (value, value.parse())) {
            None => None,
            Some((_, Ok(address))) => Some(address),
            Some((value, Err(_))) => return Err(bad(IPV6_SOURCE, value, "it is no address of IPv6")),
        };
        let mode = |name: &str| match text(name) {
            None | Some("nat") => Ok(GatewayMode::Translated),
            Some("nat-unprotected") => Ok(GatewayMode::Unprotected),
            Some("routed") => Ok(GatewayMode::Routed),
            Some("isolated") => Ok(GatewayMode::Isolated),
            Some(value) => Err(bad(name, value, "it is no mode of a gateway")),
        };
        let interface = |name: &str| match network::is_interface_name(name) {
            true => Ok(name.to_owned()),
            false => Err(bad(TRUSTED_INTERFACES, name, "no interface can have this name")),
        };
        let trusted_interfaces: Result<BTreeSet<String>, Error> =
            text(TRUSTED_INTERFACES).into_iter().flat_map(|names| names.split(':')).map(interface).collect();
        Ok(Self {
            bridge: text(NAME).map(str::to_owned),
            mtu: mtu(options)?,
            communicate: truth(COMMUNICATE, true)?,
            masquerade: truth(MASQUERADE, true)?,
            host_address: ipv4(HOST_ADDRESS)?,
            has_host_ipv4: !truth(INHIBIT_IPV4, false)?,
            gateway_mode: mode(GATEWAY_MODE)?,
            ipv6_gateway_mode: mode(IPV6_GATEWAY_MODE)?,
            trusted_interfaces: trusted_interfaces?.into_iter().collect(),
            source: ipv4(SOURCE)?,
            ipv6_source,
        })
    }

    /// Checks the options against the network's definition.
    ///
    /// # Errors
    /// What contradicts it.
    pub(super) fn check(&self, definition: &NetworkDefinition) -> Result<(), Error> {
        for (name, mode) in [(GATEWAY_MODE, self.gateway_mode), (IPV6_GATEWAY_MODE, self.ipv6_gateway_mode)] {
            if mode == GatewayMode::Isolated && !definition.internal {
                return Err(Error::refused(format!(
                    "{name}=isolated is possible in internal networks alone"
                )));
            }
        }
        Ok(())
    }
}

/// The name of a network's bridge.
pub(super) fn bridge_name(id: &NetworkId, choices: &Choices) -> String {
    choices.bridge.clone().unwrap_or_else(|| format!("br-{}", id.short()))
}

/// The host options of the bridge.
pub(super) fn options(
    record: &NetworkRecord,
    choices: &Choices,
    daemon: &network::Options,
) -> network::Options {
    let definition = &record.definition;
    let ipv4 = pool_of::<Ipv4Addr>(&definition.pools).cloned().unwrap_or_default();
    let ipv6 = pool_of::<Ipv6Addr>(&definition.pools).filter(|_| definition.ipv6);
    let ipv6 = ipv6.and_then(|pool| {
        Some(Ipv6Options {
            address: Ipv6Address::Exactly(gateway_address(pool)?),
            range: pool.range.and_then(subnet),
            reserved: pool.auxiliary.values().copied().filter_map(Family::of).collect(),
            gateway_mode: choices.ipv6_gateway_mode,
            source: choices.ipv6_source,
        })
    });
    let (name, address) = (bridge_name(&record.id, choices), gateway_address(&ipv4));
    let bridge = match &record.shared_bridge {
        None => BridgeChoice::Own { name, address },
        Some(kept) => BridgeChoice::Shared { name, address, kept: kept.clone() },
    };
    network::Options {
        bridge,
        ipv4: definition.ipv4,
        ipv6,
        fixed_cidr: ipv4.range.and_then(subnet),
        mtu: choices.mtu.or(daemon.mtu),
        default_host_ip: choices.host_address.map_or(daemon.default_host_ip, IpAddr::V4),
        relay: daemon.relay,
        inter_container_communication: choices.communicate,
        masquerade: choices.masquerade && !definition.internal,
        forward: daemon.forward,
        firewall: daemon.firewall,
        ipv6_firewall: daemon.ipv6_firewall,
        source: choices.source,
        internal: definition.internal,
        has_host_ipv4: choices.has_host_ipv4 && choices.gateway_mode != GatewayMode::Isolated,
        gateway_mode: choices.gateway_mode,
        trusted_interfaces: choices.trusted_interfaces.clone(),
        others: Vec::new(),
        reserved: ipv4.auxiliary.values().copied().filter_map(Family::of).collect(),
        host_addresses: HostAddresses::default(),
        order: AddressOrder::Lowest,
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::MTU;
    use super::*;

    fn choices(name: &str, value: &str) -> Result<Choices, Error> {
        Choices::of(&[(name.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn values_that_make_no_sense_are_named() {
        for (name, value) in [
            (MTU, "x"),
            (MTU, "-5"),
            (MTU, "100000"),
            (COMMUNICATE, "maybe"),
            (MASQUERADE, "q"),
            (HOST_ADDRESS, "foo"),
            (GATEWAY_MODE, "nope"),
            (SOURCE, "fd00::1"),
            (IPV6_SOURCE, "10.0.0.1"),
            (TRUSTED_INTERFACES, "eth0:"),
            (TRUSTED_INTERFACES, "an_interface_of_too_many_letters"),
        ] {
            let error = choices(name, value).expect_err(value);
            assert_eq!(error.kind(), model::ErrorKind::Invalid);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn what_nobody_knows_is_only_shown() {
        let nothing = Choices::of(&BTreeMap::new()).expect("choices");
        assert_eq!(choices("com.example.x", "y").expect("choices"), nothing);
        assert!(nothing.communicate && nothing.masquerade && nothing.has_host_ipv4);
        assert_eq!(nothing.gateway_mode, GatewayMode::Translated);
        assert!(!choices(COMMUNICATE, "false").expect("choices").communicate);
        assert_eq!(choices(MTU, "1400").expect("choices").mtu, Some(1400));
    }
}
