//! Networks as front ends see them: made, found, listed, removed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, MutexGuard, PoisonError};

use model::{ContainerId, EventAction, NetworkDefinition, NetworkId, Pool, ResourceKind, Timestamp};
use network::{AddressUsage, HostAddresses};

use super::definition;
use super::drivers::DriverOptions;
use super::entry::NetworkEntry;
use super::families::{self, Family};
use super::record::NetworkRecord;
use super::registry::NetworkRegistry;
use super::subnets;
use crate::container::Record;
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;
use crate::fault;
use crate::networking::Networking;
use crate::options::Options;
use crate::outcome::joined;
use crate::random;
use crate::store::{Database, Durability, NetworkDocument, NetworkRow, Row};

/// The networks of the engine.
pub struct Networks {
    pub(crate) registry: Arc<NetworkRegistry>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) database: Arc<Database>,
    pub(crate) options: Arc<Options>,
}

/// A network that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedNetwork {
    /// Its id.
    pub id: NetworkId,
}

/// Selects networks.
pub type NetworkFilter<'f> = &'f (dyn Fn(&NetworkRecord) -> bool + Send + Sync);

impl Networks {
    /// Makes a network.
    ///
    /// # Errors
    /// A name that is taken, addresses that are in use, options that make no sense; nothing is left then.
    pub async fn create(self: &Arc<Self>, definition: NetworkDefinition) -> Result<CreatedNetwork, Error> {
        let networks = Arc::clone(self);
        joined(tokio::task::spawn_blocking(move || networks.make(definition)).await)?
    }

    /// Finds a network by full id, by name, or by an unambiguous start of its id.
    ///
    /// # Errors
    /// Not found; a bad parameter for a start that several ids have.
    pub fn find(&self, reference: &str) -> Result<NetworkRecord, Error> {
        self.registry.find(reference).map(|entry| entry.record.clone())
    }

    /// All networks.
    #[must_use]
    pub fn all(&self) -> Vec<NetworkRecord> {
        self.registry.all().iter().map(|entry| entry.record.clone()).collect()
    }

    /// The address that `host-gateway` stands for; `None` without a default bridge.
    #[must_use]
    pub fn host_gateway(&self) -> Option<Ipv4Addr> {
        self.registry.default.ipv4().map(|host| host.address)
    }

    /// The containers that are in a network.
    #[must_use]
    pub fn containers(&self, id: &NetworkId) -> Vec<Arc<Record>> {
        let ids = self.registry.get(id).map(|entry| entry.containers()).unwrap_or_default();
        ids.iter().filter_map(|id| Some(self.directory.get(id)?.record())).collect()
    }

    /// How many addresses of one of a network's pools are in use.
    #[must_use]
    pub fn usage(&self, id: &NetworkId, pool: &Pool) -> Option<AddressUsage> {
        let entry = self.registry.get(id)?;
        match pool.subnet?.address {
            IpAddr::V4(_) => entry.live()?.usage(),
            IpAddr::V6(_) => entry.live()?.ipv6_usage(),
        }
    }

    /// Removes a network.
    ///
    /// # Errors
    /// Unknown, predefined, or with containers in it.
    pub async fn remove(self: &Arc<Self>, reference: &str) -> Result<(), Error> {
        let networks = Arc::clone(self);
        let reference = reference.to_owned();
        // A container that has ended may still be in it for a moment.
        self.networking.until_ports_are_free().await;
        let work = move || {
            let _alone = networks.changes();
            let entry = networks.registry.find(&reference)?;
            networks.take_away(&entry)
        };
        joined(tokio::task::spawn_blocking(work).await)?
    }

    /// Removes all networks without containers in them that are meant; returns their names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune(
        self: &Arc<Self>,
        is_meant: impl Fn(&NetworkRecord) -> bool + Send + 'static,
    ) -> Result<Vec<String>, Error> {
        let networks = Arc::clone(self);
        self.networking.until_ports_are_free().await;
        let work = move || {
            let _alone = networks.changes();
            let mut removed = Vec::new();
            for entry in networks.registry.all() {
                let is_kept = entry.record.is_predefined() || !is_meant(&entry.record);
                if is_kept || !entry.containers().is_empty() || networks.depending(&entry).is_some() {
                    continue;
                }
                match networks.take_away(&entry) {
                    Ok(()) => removed.push(entry.name().to_owned()),
                    // A container has come in meanwhile.
                    Err(Error::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            networks.events.emit_prune(ResourceKind::Network, 0);
            Ok(removed)
        };
        joined(tokio::task::spawn_blocking(work).await)?
    }

    fn changes(&self) -> MutexGuard<'_, ()> {
        self.registry.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, mut definition: NetworkDefinition) -> Result<CreatedNetwork, Error> {
        definition::check(&definition)?;
        let _alone = self.changes();
        if self.registry.named(&definition.name).is_some() {
            return Err(Error::conflict(format!("network with name {} already exists", definition.name)));
        }
        self.inherit(&mut definition)?;
        let of_driver = DriverOptions::read(&definition)?;
        of_driver.check(&definition)?;
        definition.internal |= of_driver.leads_nowhere() && !definition.config_only;
        let mut record = NetworkRecord {
            id: NetworkId::from_random(random::bytes()),
            created: Timestamp::now(),
            definition,
            shared_bridge: None,
        };
        if record.definition.config_only {
            self.save(&record)?;
            let entry = NetworkEntry::new(record, of_driver, None, &self.options.exec_root);
            return Ok(CreatedNetwork { id: self.registry.insert(entry).record.id.clone() });
        }
        let bridge = of_driver.bridge(&record.id);
        self.check_interface(bridge.as_deref(), of_driver.parent())?;
        let host_addresses = self.choose_addresses(&mut record.definition)?;
        // An existing one has another owner.
        if let Some(bridge) = &bridge {
            let addresses = network::Network::addresses_of_host_interface(bridge);
            record.shared_bridge = addresses.map_err(Error::Network)?;
        }
        let asked = of_driver.ask(&record, &self.options.network, host_addresses)?;
        // The row first: whatever happens to this daemon, the next one has the bridge's owner on record.
        self.save(&record)?;
        let opened = fault::check("network-saved").and_then(|()| asked.make(&self.registry.default));
        let live = match opened {
            Ok(live) => live,
            Err(error) => {
                self.database.keep(vec![Row::NoNetwork(record.id)]).forget();
                return Err(error);
            }
        };
        let entry = NetworkEntry::new(record, of_driver, Some(Arc::new(live)), &self.options.exec_root);
        let entry = self.registry.insert(entry);
        entry.emit(&self.events, EventAction::Create, None);
        Ok(CreatedNetwork { id: entry.record.id.clone() })
    }

    fn save(&self, record: &NetworkRecord) -> Result<(), Error> {
        let NetworkRecord { created, definition, shared_bridge, .. } = record.clone();
        let document = NetworkDocument { created, definition, shared_bridge };
        let row = Row::Network(NetworkRow { id: record.id.clone(), document });
        self.database.write(vec![row], Durability::PowerLoss).wait_blocking()
    }

    /// Copies the definition from the configuration that a network is made from.
    fn inherit(&self, definition: &mut NetworkDefinition) -> Result<(), Error> {
        let Some(source) = &definition.config_from else { return Ok(()) };
        let missing = || Error::not_found(format!("configuration network {source:?} does not exist"));
        let source = self.registry.named(source).filter(|entry| entry.record.definition.config_only);
        let source = source.ok_or_else(missing)?.record.definition.clone();
        definition.options = source.options;
        definition.labels = source.labels;
        definition.pools = source.pools;
        definition.ipv4 &= source.ipv4;
        definition.ipv6 |= source.ipv6;
        Ok(())
    }

    /// Refuses a bridge or a parent that another network has.
    fn check_interface(&self, bridge: Option<&str>, parent: Option<&str>) -> Result<(), Error> {
        let mut fault = None;
        self.registry.each(|other| {
            let Some(live) = other.live() else { return };
            if let Some(own) = bridge.filter(|own| live.bridge() == Some(*own)) {
                fault = Some(format!(
                    "networks have same bridge name: {own} is that of the network {}",
                    other.name()
                ));
            }
            if let Some(parent) = parent.filter(|parent| other.options.parent() == Some(*parent)) {
                fault = Some(format!("network {} is already using parent interface {parent}", other.name()));
            }
        });
        fault.map_or(Ok(()), |fault| Err(Error::forbidden(fault)))
    }

    /// Fills in what was left to the engine: the addresses, and the host's own one of them. Returns whether the host may
    /// have some of them.
    fn choose_addresses(&self, definition: &mut NetworkDefinition) -> Result<HostAddresses, Error> {
        // A pool without a subnet gets the family that no other pool has.
        let is_empty = |pool: &Pool| pool.subnet.is_none();
        definition.pools.retain(|pool| !is_empty(pool));
        let host_addresses = match definition.pools.is_empty() {
            true => HostAddresses::None,
            false => HostAddresses::Possible,
        };
        if definition.ipv4 && families::pool_of::<Ipv4Addr>(&definition.pools).is_none() {
            let subnet = subnets::choose_ipv4(&self.registry, &self.options.address_pools)?;
            definition.pools.push(Pool { subnet: Some(families::cidr(subnet)), ..Pool::default() });
        }
        if definition.ipv6 && families::pool_of::<Ipv6Addr>(&definition.pools).is_none() {
            let subnet = subnets::choose_ipv6(&self.registry, &self.options.address_pools)?;
            definition.pools.push(Pool { subnet: Some(families::cidr(subnet)), ..Pool::default() });
        }
        for pool in &mut definition.pools {
            self.complete::<Ipv4Addr>(pool)?;
            self.complete::<Ipv6Addr>(pool)?;
            if let Some((name, address)) =
                pool.auxiliary.iter().find(|(_, address)| Some(**address) == pool.gateway)
            {
                return Err(Error::refused(format!(
                    "auxiliary address {name}={address} is the gateway's: Address already in use"
                )));
            }
        }
        Ok(host_addresses)
    }

    /// Checks a pool of the family against other networks and chooses its gateway.
    fn complete<A: Family>(&self, pool: &mut Pool) -> Result<(), Error> {
        let Some(subnet) = pool.subnet.and_then(families::subnet::<A>) else { return Ok(()) };
        if subnets::meets_network(&self.registry, subnet) {
            return Err(Error::forbidden(format!(
                "invalid pool request: Pool {subnet} overlaps with other one on this address space"
            )));
        }
        if pool.gateway.is_none() {
            let part = pool.range.and_then(families::subnet::<A>).unwrap_or(subnet);
            let first = (*subnet.hosts().start()).max(part.base());
            let hosts = first.number()..=subnet.hosts().end().number();
            let is_free = |host: &A| !pool.auxiliary.values().any(|address| *address == (*host).into());
            pool.gateway = hosts.map(A::from_number).find(is_free).map(Into::into);
        }
        Ok(())
    }

    /// A network that was made from this configuration.
    fn depending(&self, entry: &NetworkEntry) -> Option<Arc<NetworkEntry>> {
        let source = entry.record.definition.config_only.then(|| entry.name())?;
        self.registry
            .unordered()
            .into_iter()
            .find(|other| other.record.definition.config_from.as_deref() == Some(source))
    }

    /// Removes a network: its bridge, then its row.
    fn take_away(&self, entry: &Arc<NetworkEntry>) -> Result<(), Error> {
        let name = entry.name();
        if entry.record.is_predefined() {
            return Err(Error::forbidden(format!("{name} is a pre-defined network and cannot be removed")));
        }
        if let Some(other) = self.depending(entry) {
            return Err(Error::forbidden(format!(
                "configuration network {name} is in use by the network {}",
                other.name()
            )));
        }
        entry.close().map_err(|containers| self.active_endpoints(name, &containers))?;
        // The row last: if this daemon dies before, the network is there again, with its bridge.
        if let Some(live) = entry.live()
            && let Err(error) = live.remove()
        {
            entry.reopen();
            return Err(Error::Network(error));
        }
        if let Some(names) = entry.names() {
            names.remove_file();
        }
        self.registry.remove(entry);
        // On a full disk it is tried again.
        let _ = self.database.keep(vec![Row::NoNetwork(entry.record.id.clone())]).wait_blocking();
        if !entry.record.definition.config_only {
            entry.emit(&self.events, EventAction::Destroy, None);
        }
        Ok(())
    }

    fn active_endpoints(&self, name: &str, containers: &[ContainerId]) -> Error {
        let shown = containers.iter().map(|id| {
            let name = self.directory.get(id).map(|container| container.record().name.clone());
            format!("name:\"{}\" id:\"{}\"", name.unwrap_or_default(), id.short())
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        Error::forbidden(format!(
            "error while removing network: network {name} has active endpoints ({shown})"
        ))
    }
}
