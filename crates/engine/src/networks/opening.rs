//! Opens the networks when the engine starts: the predefined ones, then those that clients made.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use model::{ContainerId, NetworkDefinition, NetworkDriver, NetworkId, Pool, Timestamp};
use network::{BridgeChoice, HostAddresses, HostListing, Ipv6Address};

use super::drivers::DriverOptions;
use super::entry::NetworkEntry;
use super::families;
use super::names;
use super::record::{NetworkRecord, is_predefined};
use super::registry::NetworkRegistry;
use crate::endpoint::{BRIDGE, HOST, NONE};
use crate::error::Error;
use crate::options::Options;
use crate::random;
use crate::record::{Phase, Record};
use crate::store::{Database, NetworkDocument, NetworkRow, Row};

/// The options of the default network; it must not overlap the networks of clients.
///
/// # Errors
/// Addresses of the daemon's flags that one of these has.
pub(crate) fn default_options(options: &Options, saved: &[NetworkRow]) -> Result<network::Options, Error> {
    let mut of_default = options.network.clone();
    let asked_ipv4 = match &of_default.bridge {
        BridgeChoice::Own { address, .. } => address.map(network::InterfaceAddress::subnet),
        _ => None,
    };
    let asked_ipv6 = of_default.ipv6.as_ref().map(|ipv6| match ipv6.address {
        Ipv6Address::Exactly(address) | Ipv6Address::PresentOr(address) => address.subnet(),
    });
    for NetworkRow { document, .. } in saved {
        let NetworkDefinition { name, pools, config_only, .. } = &document.definition;
        if is_predefined(name) || *config_only {
            continue;
        }
        for subnet in pools.iter().filter_map(|pool| pool.subnet) {
            let ipv4 = families::subnet::<Ipv4Addr>(subnet);
            let ipv6 = families::subnet::<Ipv6Addr>(subnet);
            let meets_ipv4 = ipv4.zip(asked_ipv4).is_some_and(|(one, other)| one.overlaps(other));
            let meets_ipv6 = ipv6.zip(asked_ipv6).is_some_and(|(one, other)| one.overlaps(other));
            if meets_ipv4 || meets_ipv6 {
                return Err(Error::refused(format!(
                    "the addresses asked for the default bridge overlap with {subnet} of the network {name}"
                )));
            }
            of_default.others.extend(ipv4);
        }
    }
    Ok(of_default)
}

/// Opens all networks, and takes over what containers have of them.
pub(crate) fn open(
    default: network::Network,
    saved: Vec<NetworkRow>,
    records: &mut [Record],
    (options, database): (&Options, &Database),
) -> NetworkRegistry {
    let registry = NetworkRegistry::new(Arc::new(default));
    let (predefined, own): (Vec<_>, Vec<_>) = saved
        .into_iter()
        .map(|NetworkRow { id, document }| NetworkRecord {
            id,
            created: document.created,
            definition: document.definition,
            shared_bridge: document.shared_bridge,
        })
        .partition(NetworkRecord::is_predefined);
    for definition in [
        default_network(&registry, options),
        plain(HOST, NetworkDriver::Host),
        plain(NONE, NetworkDriver::Null),
    ] {
        let known = predefined.iter().find(|record| record.definition.name == definition.name);
        let record = known.map_or_else(
            || made(&definition, database),
            // What it is follows from the daemon's settings.
            |known| NetworkRecord { definition: definition.clone(), ..known.clone() },
        );
        let live = (definition.driver == NetworkDriver::Bridge).then(|| Arc::clone(&registry.default));
        registry.insert(NetworkEntry::new(record, DriverOptions::default(), live, &options.exec_root));
    }
    know_the_default_network(&registry, records);
    let mut leases = saved_leases(records);
    let mut listing = None;
    for record in own {
        let known = leases.remove(&record.id).unwrap_or_default();
        let opened = open_again(&registry, &record, (known, &mut listing), options);
        let (of_driver, live) = opened.unwrap_or_else(|error| {
            // It is shown, and nothing starts in it.
            tracing::error!("cannot open the network {}: {error}", record.definition.name);
            Default::default()
        });
        registry.insert(NetworkEntry::new(record, of_driver, live, &options.exec_root));
    }
    if let Err(error) = registry.default.remove_unused() {
        tracing::warn!("cannot remove firewall rules of networks that are gone: {error}");
    }
    // One whose start was interrupted may run; it leaves when it turns out not to.
    for record in records.iter().filter(|record| !matches!(record.phase, Phase::Removing)) {
        for endpoint in
            record.endpoints.iter().filter(|endpoint| endpoint.id.is_some() || endpoint.lease.is_some())
        {
            let Ok(entry) = registry.of_endpoint(endpoint) else { continue };
            if let Err(error) = entry.enter(&record.id) {
                tracing::error!("container {} runs in the network {}: {error}", record.id, entry.name());
            }
            if let (Some(names), Some(named)) = (entry.names(), record.named_in(endpoint)) {
                names.know(&record.id, named);
            }
        }
    }
    names::sweep(&options.exec_root, |id| registry.get(id).is_some());
    for entry in registry.all() {
        if let Some(Err(error)) = entry.names().map(names::SharedNames::bring_up_to_date) {
            tracing::error!("cannot write the names in the network {}: {error}", entry.name());
        }
    }
    registry
}

/// A client's network from its row: its parsed options, and the driver's part.
fn open_again(
    registry: &NetworkRegistry,
    record: &NetworkRecord,
    (known, listing): (Vec<network::Endpoint>, &mut Option<HostListing>),
    options: &Options,
) -> Result<(DriverOptions, Option<Arc<network::Network>>), Error> {
    // It was checked when it was made: options that are refused since then are still accepted here.
    let of_driver = DriverOptions::read(&record.definition)?;
    if record.definition.config_only {
        return Ok((of_driver, None));
    }
    let listing = match listing {
        Some(listing) => listing,
        // If it fails, the next network tries again.
        None => listing.insert(HostListing::read().map_err(|error| Error::refused(error.to_string()))?),
    };
    let asked = of_driver.ask(record, &options.network, HostAddresses::Possible)?;
    let network = asked.open(&registry.default, known, listing)?;
    Ok((of_driver, Some(Arc::new(network))))
}

/// The saved leases of containers in the default network, without exceptions for links to containers that ended since
/// those were saved: others may have their addresses now.
pub(crate) fn saved_leases_of_default(records: &[Record]) -> Vec<network::Endpoint> {
    let address = |record: &Record| Some(IpAddr::V4(record.bridge_lease()?.ipv4?.address));
    let addresses: HashMap<&ContainerId, IpAddr> =
        records.iter().filter_map(|record| Some((&record.id, address(record)?))).collect();
    let lease = |record: &Record| {
        let mut lease = crate::networking::saved_lease(record, record.bridge_lease()?);
        let targets: Vec<IpAddr> =
            record.links.values().filter_map(|target| addresses.get(target).copied()).collect();
        lease.exceptions.retain(|exception| targets.contains(&exception.to));
        Some(lease)
    };
    records.iter().filter_map(lease).collect()
}

/// The saved leases of containers in each network.
fn saved_leases(records: &[Record]) -> HashMap<NetworkId, Vec<network::Endpoint>> {
    let mut leases: HashMap<_, Vec<_>> = HashMap::new();
    for record in records {
        for endpoint in &record.endpoints {
            if let (Some(id), Some(lease)) = (&endpoint.network, &endpoint.lease) {
                leases.entry(id.clone()).or_default().push(crate::networking::saved_lease(record, lease));
            }
        }
    }
    leases
}

/// Rows of earlier versions do not name the network of running containers: there was only one.
fn know_the_default_network(registry: &NetworkRegistry, records: &mut [Record]) {
    let Some(bridge) = registry.named(BRIDGE) else { return };
    let endpoints = records.iter_mut().flat_map(|record| &mut record.endpoints);
    for endpoint in endpoints.filter(|endpoint| endpoint.lease.is_some() && endpoint.network.is_none()) {
        endpoint.network = Some(bridge.record.id.clone());
    }
}

fn made(definition: &NetworkDefinition, database: &Database) -> NetworkRecord {
    let record = NetworkRecord {
        id: NetworkId::from_random(random::bytes()),
        created: Timestamp::now(),
        definition: definition.clone(),
        shared_bridge: None,
    };
    let document =
        NetworkDocument { created: record.created, definition: definition.clone(), shared_bridge: None };
    database.keep(vec![Row::Network(NetworkRow { id: record.id.clone(), document })]).forget();
    record
}

fn plain(name: &str, driver: NetworkDriver) -> NetworkDefinition {
    NetworkDefinition { name: name.to_owned(), driver, ipv4: true, ..NetworkDefinition::default() }
}

/// The network of containers that name none, as the daemon's settings make it.
fn default_network(registry: &NetworkRegistry, options: &Options) -> NetworkDefinition {
    let mut definition = plain(BRIDGE, NetworkDriver::Bridge);
    let network = &options.network;
    let mut option = |name: &str, value: String| {
        definition.options.insert(format!("com.docker.network.{name}"), value);
    };
    option("bridge.default_bridge", "true".to_owned());
    option("bridge.enable_icc", network.inter_container_communication.to_string());
    option("bridge.enable_ip_masquerade", network.masquerade.to_string());
    option("bridge.host_binding_ipv4", network.default_host_ip.to_string());
    if let Some(name) = registry.default.bridge() {
        option("bridge.name", name.to_owned());
    }
    if let Some(host) = registry.default.ipv4() {
        definition.pools.push(Pool {
            subnet: Some(families::cidr(host.subnet())),
            range: network.fixed_cidr.map(families::cidr),
            gateway: Some(host.address.into()),
            ..Pool::default()
        });
    }
    if let Some(host) = registry.default.ipv6() {
        definition.ipv6 = true;
        definition.pools.push(Pool {
            subnet: Some(families::cidr(host.subnet())),
            gateway: Some(host.address.into()),
            ..Pool::default()
        });
    }
    if let Some(mtu) = network.mtu {
        definition.options.insert("com.docker.network.driver.mtu".to_owned(), mtu.to_string());
    }
    definition
}
