//! The drivers of networks. Each is a file: its options, and what it requires of the host.

mod bridge;
mod ipvlan;
mod macvlan;
mod options;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::{NetworkDefinition, NetworkDriver, NetworkId, Pool};
use network::{HostAddresses, HostListing, Network, ParentAddresses, ParentChoice, ParentOptions, Sharing};

use options::{gateway_address, mtu, text};

use super::families::{Family, pool_of, subnet};
use super::record::NetworkRecord;
use crate::error::Error;

const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// The interface of the host that a network is on.
const PARENT: &str = "parent";

/// The default prefix of interface names inside.
const DEFAULT_PREFIX: &str = "eth";

/// What a driver requires of the host.
pub(crate) enum Asked {
    Bridge(network::Options),
    OnParent(ParentOptions),
}

impl Asked {
    /// Makes the network on the host of the default one.
    ///
    /// # Errors
    /// What the host refuses.
    pub(crate) fn make(&self, default: &Network) -> Result<Network, Error> {
        let made = match self {
            Self::Bridge(options) => default.make_beside(options),
            Self::OnParent(options) => Network::open_on_parent(options, Vec::new()),
        };
        made.map_err(Error::Network)
    }

    /// Opens a network again on the host of the default one.
    ///
    /// # Errors
    /// What the host refuses.
    pub(crate) fn open(
        &self,
        default: &Network,
        known: Vec<network::Endpoint>,
        listing: &HostListing,
    ) -> Result<Network, Error> {
        let opened = match self {
            Self::Bridge(options) => default.open_beside(options, known, listing),
            Self::OnParent(options) => Network::open_on_parent(options, known),
        };
        opened.map_err(Error::Network)
    }
}

/// The options of a network, read once: all but what shows them again has them from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriverOptions {
    interface_prefix: String,
    of_driver: OptionsOfDriver,
}

/// The options of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OptionsOfDriver {
    Bridge(bridge::Choices),
    OnParent(OnParent),
    None,
}

/// The options of a network on an interface of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OnParent {
    sharing: Sharing,
    parent: Option<String>,
    mtu: Option<u32>,
}

impl Default for DriverOptions {
    /// The options of a driver without any.
    fn default() -> Self {
        Self { interface_prefix: DEFAULT_PREFIX.to_owned(), of_driver: OptionsOfDriver::None }
    }
}

impl DriverOptions {
    /// Reads the options. Those of other drivers are only shown again.
    ///
    /// # Errors
    /// Invalid values.
    pub(crate) fn read(definition: &NetworkDefinition) -> Result<Self, Error> {
        let options = &definition.options;
        let interface_prefix = interface_prefix(options)?;
        let of_driver = match definition.driver {
            NetworkDriver::Bridge => OptionsOfDriver::Bridge(bridge::Choices::of(options)?),
            NetworkDriver::Macvlan => OnParent::of(macvlan::sharing(options)?, options)?,
            NetworkDriver::Ipvlan => OnParent::of(ipvlan::sharing(options)?, options)?,
            NetworkDriver::Host | NetworkDriver::Null | NetworkDriver::Overlay => OptionsOfDriver::None,
        };
        Ok(Self { interface_prefix, of_driver })
    }

    /// Checks the options against the network's definition.
    ///
    /// # Errors
    /// What contradicts them.
    pub(crate) fn check(&self, definition: &NetworkDefinition) -> Result<(), Error> {
        match &self.of_driver {
            OptionsOfDriver::Bridge(choices) => choices.check(definition),
            OptionsOfDriver::OnParent(_) | OptionsOfDriver::None => Ok(()),
        }
    }

    /// The beginning of the names of interfaces inside.
    pub(crate) fn interface_prefix(&self) -> &str {
        &self.interface_prefix
    }

    /// The interface of the host that the network is on, where one is named.
    pub(crate) fn parent(&self) -> Option<&str> {
        match &self.of_driver {
            OptionsOfDriver::OnParent(own) => own.parent.as_deref(),
            OptionsOfDriver::Bridge(_) | OptionsOfDriver::None => None,
        }
    }

    /// Whether the network has no way outside: its driver needs an interface of the host, and none is named.
    pub(crate) fn leads_nowhere(&self) -> bool {
        matches!(&self.of_driver, OptionsOfDriver::OnParent(own) if own.parent.is_none())
    }

    /// The name of the bridge of the network with this id, if it has one.
    pub(crate) fn bridge(&self, id: &NetworkId) -> Option<String> {
        match &self.of_driver {
            OptionsOfDriver::Bridge(choices) => Some(bridge::bridge_name(id, choices)),
            OptionsOfDriver::OnParent(_) | OptionsOfDriver::None => None,
        }
    }

    /// The requirements of the record's network on the host, which may have addresses of it or not.
    ///
    /// # Errors
    /// A driver that makes nothing; options that the host cannot follow.
    pub(crate) fn ask(
        &self,
        record: &NetworkRecord,
        daemon: &network::Options,
        host_addresses: HostAddresses,
    ) -> Result<Asked, Error> {
        match &self.of_driver {
            OptionsOfDriver::OnParent(own) => Ok(Asked::OnParent(on_parent(record, own))),
            OptionsOfDriver::Bridge(choices) => {
                let options = network::Options { host_addresses, ..bridge::options(record, choices, daemon) };
                options.check().map_err(|error| Error::refused(error.to_string()))?;
                Ok(Asked::Bridge(options))
            }
            OptionsOfDriver::None => {
                let driver = record.definition.driver.name();
                Err(Error::refused(format!("the driver {driver} makes no networks")))
            }
        }
    }
}

impl OnParent {
    fn of(sharing: Sharing, options: &BTreeMap<String, String>) -> Result<OptionsOfDriver, Error> {
        let parent = text(options, PARENT).map(str::to_owned);
        Ok(OptionsOfDriver::OnParent(Self { sharing, parent, mtu: mtu(options)? }))
    }
}

fn interface_prefix(options: &BTreeMap<String, String>) -> Result<String, Error> {
    let Some(prefix) = text(options, INTERFACE_PREFIX) else { return Ok(DEFAULT_PREFIX.to_owned()) };
    // Interfaces are counted behind it.
    match network::is_interface_name(&format!("{prefix}10")) && !prefix.starts_with('.') {
        true => Ok(prefix.to_owned()),
        false => Err(options::bad(INTERFACE_PREFIX, prefix, "no interface can have a name that begins so")),
    }
}

fn on_parent(record: &NetworkRecord, own: &OnParent) -> ParentOptions {
    let definition = &record.definition;
    let dummy = match own.sharing {
        Sharing::Macvlan(_) => macvlan::DUMMY_PREFIX,
        Sharing::Ipvlan { .. } => ipvlan::DUMMY_PREFIX,
    };
    let parent = match &own.parent {
        Some(name) => ParentChoice::Named(name.clone()),
        None => ParentChoice::Dummy(format!("{dummy}{}", record.id.short())),
    };
    ParentOptions {
        parent,
        sharing: own.sharing,
        ipv4: definition.ipv4.then(|| addresses::<Ipv4Addr>(&definition.pools)).flatten(),
        ipv6: definition.ipv6.then(|| addresses::<Ipv6Addr>(&definition.pools)).flatten(),
        mtu: own.mtu,
        internal: definition.internal,
    }
}

fn addresses<A: Family>(pools: &[Pool]) -> Option<ParentAddresses<A>> {
    let pool = pool_of::<A>(pools)?;
    Some(ParentAddresses {
        gateway: gateway_address(pool)?,
        range: pool.range.and_then(subnet),
        reserved: pool.auxiliary.values().copied().filter_map(Family::of).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(driver: NetworkDriver, options: &[(&str, &str)]) -> Result<DriverOptions, Error> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        DriverOptions::read(&NetworkDefinition { driver, options, ..NetworkDefinition::default() })
    }

    #[test]
    fn each_driver_reads_its_own_options_and_passes_over_others() {
        let id = NetworkId::from_random([7; 32]);
        let named = [("com.docker.network.bridge.name", "br7"), ("parent", "eth0"), ("nobody", "knows")];
        let bridge = read(NetworkDriver::Bridge, &named).expect("options");
        assert_eq!((bridge.bridge(&id).as_deref(), bridge.parent()), (Some("br7"), None));
        let macvlan = read(NetworkDriver::Macvlan, &named).expect("options");
        assert_eq!((macvlan.bridge(&id), macvlan.parent()), (None, Some("eth0")));
        assert!(!macvlan.leads_nowhere() && !bridge.leads_nowhere());
        assert!(read(NetworkDriver::Ipvlan, &[]).expect("options").leads_nowhere());
        assert_eq!(read(NetworkDriver::Host, &named).expect("options"), DriverOptions::default());
        assert_eq!(bridge.interface_prefix(), "eth");
        let prefix = |text| read(NetworkDriver::Bridge, &[(INTERFACE_PREFIX, text)]);
        assert_eq!(prefix("lan").expect("options").interface_prefix(), "lan");
        for bad in ["a/b", ".", "thirteen_signs"] {
            assert!(prefix(bad).expect_err(bad).to_string().contains(INTERFACE_PREFIX));
        }
    }
}
