//! The driver `bridge`: its options, and what the host gets for a network of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use model::{NetworkId, Pool};
use network::{AddressOrder, BridgeChoice, InterfaceAddress};

use crate::error::Error;
use crate::networks::entry::NetworkRecord;
use crate::networks::subnets::{interface_address, subnet};

const MTU: &str = "com.docker.network.driver.mtu";
const NAME: &str = "com.docker.network.bridge.name";
const COMMUNICATE: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const HOST_ADDRESS: &str = "com.docker.network.bridge.host_binding_ipv4";
const GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";

/// The names of interfaces inside begin with this, unless a network says otherwise.
const DEFAULT_PREFIX: &str = "eth";

/// What a network's options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choices {
    /// The bridge's name; `None` makes one of the network's id.
    pub(crate) bridge: Option<String>,
    mtu: Option<u32>,
    communicate: bool,
    masquerade: bool,
    host_address: Option<Ipv4Addr>,
    unprotected: bool,
    interface_prefix: String,
}

impl Choices {
    /// Reads the options; those of other drivers and of nobody are only shown again.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub(crate) fn of(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let text = |name: &str| options.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let bad = |name: &str, value: &str, why: &str| {
            Error::refused(format!("failed to parse {name} value: {value:?} ({why})"))
        };
        let truth = |name: &str, default: bool| match text(name) {
            None => Ok(default),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(value) => Err(bad(name, value, "it is neither true nor false")),
        };
        let mtu = match text(MTU) {
            None | Some("0") => None,
            Some(value) => {
                Some(value.parse::<u32>().map_err(|_| bad(MTU, value, "it is no whole number of bytes"))?)
            }
        };
        if let Some(mtu) = mtu.filter(|mtu| !(68..=65535).contains(mtu)) {
            return Err(Error::refused(format!("{MTU}: invalid MTU {mtu}: 68 to 65535 are possible")));
        }
        let host_address = match text(HOST_ADDRESS) {
            None => None,
            Some(value) => {
                Some(value.parse().map_err(|_| bad(HOST_ADDRESS, value, "it is no address of IPv4"))?)
            }
        };
        let unprotected = match text(GATEWAY_MODE) {
            None | Some("nat") => false,
            Some("nat-unprotected") => true,
            Some(value @ ("routed" | "isolated")) => {
                return Err(Error::unsupported(format!("the gateway mode {value} is not possible yet")));
            }
            Some(value) => return Err(bad(GATEWAY_MODE, value, "it is no mode of a gateway")),
        };
        Ok(Self {
            bridge: text(NAME).map(str::to_owned),
            mtu,
            communicate: truth(COMMUNICATE, true)?,
            masquerade: truth(MASQUERADE, true)?,
            host_address,
            unprotected,
            interface_prefix: text(INTERFACE_PREFIX).unwrap_or(DEFAULT_PREFIX).to_owned(),
        })
    }

    /// The beginning of the names of interfaces inside.
    pub(crate) fn into_interface_prefix(self) -> String {
        self.interface_prefix
    }
}

/// The name of a network's bridge.
pub(crate) fn bridge_name(id: &NetworkId, choices: &Choices) -> String {
    choices.bridge.clone().unwrap_or_else(|| format!("br-{}", id.short()))
}

/// What the host is asked for.
///
/// # Errors
/// Options that make no sense.
pub(crate) fn options(record: &NetworkRecord, daemon: &network::Options) -> Result<network::Options, Error> {
    let definition = &record.definition;
    let choices = Choices::of(&definition.options)?;
    let pool = definition.pools.first().cloned().unwrap_or_default();
    let name = bridge_name(&record.id, &choices);
    Ok(network::Options {
        bridge: BridgeChoice::Own { name, address: gateway_address(&pool) },
        fixed_cidr: pool.range.and_then(subnet),
        mtu: choices.mtu.or(daemon.mtu),
        default_host_ip: choices.host_address.unwrap_or(daemon.default_host_ip),
        inter_container_communication: choices.communicate,
        masquerade: choices.masquerade && !definition.internal,
        forward: daemon.forward,
        firewall: daemon.firewall,
        internal: definition.internal,
        unprotected: choices.unprotected,
        reserved: pool.auxiliary.values().copied().filter_map(ipv4).collect(),
        order: AddressOrder::Lowest,
    })
}

/// The host's address on the network.
fn gateway_address(pool: &Pool) -> Option<InterfaceAddress> {
    let whole = interface_address(pool.subnet?)?;
    Some(InterfaceAddress { address: ipv4(pool.gateway?)?, ..whole })
}

const fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
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
        assert!(nothing.communicate && nothing.masquerade && !nothing.unprotected);
        assert!(!choices(COMMUNICATE, "false").expect("choices").communicate);
        assert_eq!(choices(MTU, "1400").expect("choices").mtu, Some(1400));
    }
}
