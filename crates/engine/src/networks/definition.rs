//! Validates a client's definition of a network: all faults are reported, before anything is made.

use std::net::{IpAddr, Ipv4Addr};

use model::{Cidr, NetworkDefinition, NetworkDriver, NetworkReference, Pool};

use super::families;
use super::record::is_predefined;
use crate::error::Error;

/// Checks what does not depend on other networks, except the driver's options.
///
/// # Errors
/// With the texts that current clients expect.
pub(super) fn check(definition: &NetworkDefinition) -> Result<(), Error> {
    let name = definition.name.as_str();
    if name.is_empty() {
        return Err(Error::refused("invalid name: name is empty"));
    }
    if is_predefined(name) || NetworkReference::from(name) == NetworkReference::Default {
        return Err(Error::forbidden(format!("operation is not permitted on predefined {name} network")));
    }
    check_driver(definition)?;
    if !definition.ipv4 && !definition.ipv6 {
        return Err(Error::refused("IPv4 or IPv6 must be enabled"));
    }
    check_inheritance(definition)?;
    let faults: Vec<String> = definition.pools.iter().flat_map(pool_faults).collect();
    if !faults.is_empty() {
        return Err(Error::refused(format!("invalid network config:\n{}", faults.join("\n"))));
    }
    let subnets = || definition.pools.iter().filter_map(|pool| pool.subnet);
    let ipv6 = subnets().filter(|subnet| subnet.address.is_ipv6()).count();
    if ipv6 > 1 || subnets().count() - ipv6 > 1 {
        let driver = definition.driver.name();
        return Err(Error::forbidden(format!("{driver} driver doesn't support multiple subnets")));
    }
    Ok(())
}

fn check_driver(definition: &NetworkDefinition) -> Result<(), Error> {
    let once = |driver| Error::forbidden(format!("only one instance of \"{driver}\" network is allowed"));
    match definition.driver {
        NetworkDriver::Bridge | NetworkDriver::Macvlan | NetworkDriver::Ipvlan => Ok(()),
        NetworkDriver::Host | NetworkDriver::Null => Err(once(definition.driver.name())),
        NetworkDriver::Overlay => Err(Error::forbidden(
            "This node is not a swarm manager: networks over several hosts are not possible",
        )),
    }
}

/// A network made from a configuration has no settings of its own.
fn check_inheritance(definition: &NetworkDefinition) -> Result<(), Error> {
    let Some(source) = &definition.config_from else { return Ok(()) };
    if definition.config_only {
        return Err(Error::refused("a configuration network cannot depend on another configuration network"));
    }
    let given = [
        ("options", !definition.options.is_empty()),
        ("labels", !definition.labels.is_empty()),
        ("IPAM configuration", !definition.pools.is_empty()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((what, _)) => Err(Error::forbidden(format!(
            "user-specified {what} are not supported if the network depends on the configuration network {source}"
        ))),
        None => Ok(()),
    }
}

/// All contradictions in one pool of a network's addresses.
#[must_use]
pub fn pool_faults(pool: &Pool) -> Vec<String> {
    let Some(subnet) = pool.subnet else {
        let range = pool.range.map(|range| format!("invalid ip-range {range}: no subnet is given"));
        let gateway =
            pool.gateway.map(|gateway| format!("invalid gateway address {gateway}: no subnet is given"));
        let auxiliary = pool
            .auxiliary
            .iter()
            .map(|(name, address)| format!("invalid auxiliary address {name}={address}: no subnet is given"));
        return range.into_iter().chain(gateway).chain(auxiliary).collect();
    };
    let mut faults = Vec::new();
    if !has_hosts(subnet) {
        faults.push(format!("invalid subnet {subnet}: hosts cannot have its addresses"));
    }
    if subnet.base() != subnet.address {
        faults.push(format!(
            "invalid subnet {subnet}: it should be {}/{}",
            subnet.base(),
            subnet.prefix_length
        ));
    }
    if let Some(range) = pool.range {
        faults.extend(fault_of_range(subnet, range));
    }
    let mut outside = |what: &str, address: IpAddr| {
        if !subnet.contains(address) {
            faults.push(format!("invalid {what} {address}: it is not in the subnet {subnet}"));
        }
    };
    if let Some(gateway) = pool.gateway {
        outside("gateway address", gateway);
    }
    for (name, address) in &pool.auxiliary {
        outside(&format!("auxiliary address {name}:"), *address);
    }
    if let Some(gateway) = pool.gateway.filter(|gateway| !may_be_host(subnet, *gateway)) {
        faults.push(format!("invalid gateway address {gateway}: no host can have it in the subnet {subnet}"));
    }
    faults
}

/// Whether an address of the subnet is one of a host: neither the first nor the last, which mean the network and all hosts.
fn may_be_host(subnet: Cidr, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) if subnet.contains(address.into()) => {
            families::subnet::<Ipv4Addr>(subnet).is_some_and(|subnet| subnet.hosts().contains(&address))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => true,
    }
}

/// Whether hosts may have addresses of the subnet: not all there are, those of this host or network alone, or of groups.
fn has_hosts(subnet: Cidr) -> bool {
    let is_special = match subnet.base() {
        IpAddr::V4(base) => base.octets()[0] == 0 || base.is_loopback() || base.octets()[0] >= 224,
        IpAddr::V6(base) => base.is_loopback() || base.is_multicast(),
    };
    subnet.prefix_length > 0 && !is_special
}

fn fault_of_range(subnet: Cidr, range: Cidr) -> Option<String> {
    if range.base() != range.address {
        return Some(format!(
            "invalid ip-range {range}: it should be {}/{}",
            range.base(),
            range.prefix_length
        ));
    }
    if range.prefix_length < subnet.prefix_length && range.address.is_ipv4() == subnet.address.is_ipv4() {
        return Some(format!("invalid ip-range {range}: it is larger than the subnet {subnet}"));
    }
    (!subnet.contains(range.address))
        .then(|| format!("invalid ip-range {range}: it is not in the subnet {subnet}"))
}

#[cfg(test)]
mod tests {
    use model::ErrorKind;

    use super::*;

    fn definition(pools: Vec<Pool>) -> NetworkDefinition {
        NetworkDefinition { name: "n".into(), ipv4: true, pools, ..NetworkDefinition::default() }
    }

    fn pool(subnet: &str, range: &str, gateway: &str, auxiliary: &[(&str, &str)]) -> Pool {
        let auxiliary = auxiliary.iter();
        Pool {
            subnet: subnet.parse().ok(),
            range: range.parse().ok(),
            gateway: gateway.parse().ok(),
            auxiliary: auxiliary
                .map(|(name, address)| ((*name).to_owned(), address.parse().expect("an address")))
                .collect(),
        }
    }

    #[test]
    fn all_faults_of_the_addresses_are_listed() {
        let pools = vec![
            pool("10.1.0.1/24", "10.2.0.0/25", "10.3.0.1", &[("aux1", "10.4.0.1")]),
            pool("", "", "10.1.0.1", &[]),
        ];
        let error = check(&definition(pools)).expect_err("faults");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 6, "{text}");
        for (line, value) in
            lines[1..].iter().zip(["10.1.0.1/24", "10.2.0.0/25", "10.3.0.1", "aux1", "10.1.0.1"])
        {
            assert!(line.contains(value), "{line}");
        }
        for (range, fault) in [("10.1.0.0/23", "larger"), ("10.1.0.1/25", "should be 10.1.0.0/25")] {
            let error = check(&definition(vec![pool("10.1.0.0/24", range, "", &[])])).expect_err(range);
            assert!(error.to_string().contains(fault), "{error}");
        }
        let good = pool("10.1.0.0/24", "10.1.0.64/26", "10.1.0.1", &[("a", "10.1.0.2")]);
        assert!(check(&definition(vec![good.clone()])).is_ok());
        let two = check(&definition(vec![good.clone(), good])).expect_err("two subnets");
        assert_eq!(two.kind(), ErrorKind::Forbidden);
    }

    #[test]
    fn drivers_and_names_that_are_taken_are_forbidden() {
        for name in ["bridge", "host", "none", "default"] {
            let error = check(&NetworkDefinition { name: name.into(), ..definition(Vec::new()) });
            assert_eq!(error.expect_err(name).kind(), ErrorKind::Forbidden);
        }
        for driver in [NetworkDriver::Host, NetworkDriver::Null, NetworkDriver::Overlay] {
            let error = check(&NetworkDefinition { driver, ..definition(Vec::new()) });
            assert_eq!(error.expect_err("refused").kind(), ErrorKind::Forbidden);
        }
        let error = check(&NetworkDefinition { name: String::new(), ..definition(Vec::new()) });
        assert_eq!(error.expect_err("no name").kind(), ErrorKind::Invalid);
    }
}
