//! What drivers make of networks. Each is a file: its options, and what the host is asked for.

pub(crate) mod bridge;
mod ipvlan;
mod macvlan;
mod options;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::{NetworkDefinition, NetworkDriver, Pool};
use network::{Network, ParentAddresses, ParentChoice, ParentOptions, Sharing};

use options::{gateway_address, mtu, text};

use super::entry::NetworkRecord;
use super::subnets::{Family, pool_of, subnet};
use crate::error::Error;

const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// The interface of the host that a network is on.
const PARENT: &str = "parent";

/// The names of interfaces inside begin with this, unless a network says otherwise.
const DEFAULT_PREFIX: &str = "eth";

/// What the host is asked for.
pub(crate) enum Asked {
    Bridge(network::Options),
    OnParent(ParentOptions),
}

impl Asked {
    /// What a network of the record needs.
    ///
    /// # Errors
    /// Options that make no sense.
    pub(crate) fn of(record: &NetworkRecord, daemon: &network::Options) -> Result<Self, Error> {
        match sharing(&record.definition)? {
            Some(sharing) => Ok(Self::OnParent(on_parent(record, sharing)?)),
            None => {
                let options = bridge::options(record, daemon)?;
                options.check().map_err(|error| Error::refused(error.to_string()))?;
                Ok(Self::Bridge(options))
            }
        }
    }

    /// Makes the network beside the default one.
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

    /// Opens a network again beside the default one.
    ///
    /// # Errors
    /// What the host refuses.
    pub(crate) fn open(&self, default: &Network, known: Vec<network::Endpoint>) -> Result<Network, Error> {
        let opened = match self {
            Self::Bridge(options) => default.open_beside(options, known),
            Self::OnParent(options) => Network::open_on_parent(options, known),
        };
        opened.map_err(Error::Network)
    }
}

/// Checks the options of a driver against what the network is asked to be.
///
/// # Errors
/// Values that make no sense, and what contradicts them.
pub(crate) fn check(definition: &NetworkDefinition) -> Result<(), Error> {
    if let Some(prefix) = text(&definition.options, INTERFACE_PREFIX) {
        // Interfaces are counted behind it.
        let is_name = network::is_interface_name(&format!("{prefix}10")) && !prefix.starts_with('.');
        if !is_name {
            return Err(options::bad(
                INTERFACE_PREFIX,
                prefix,
                "no interface can have a name that begins so",
            ));
        }
    }
    match sharing(definition)? {
        Some(_) => mtu(&definition.options).map(drop),
        None => bridge::Choices::of(&definition.options)?.check(definition),
    }
}

/// The interface of the host that a network is on, as it was asked for.
pub(crate) fn parent(definition: &NetworkDefinition) -> Option<&str> {
    matches!(definition.driver, NetworkDriver::Macvlan | NetworkDriver::Ipvlan).then_some(())?;
    text(&definition.options, PARENT)
}

/// The beginning of the names of interfaces inside.
pub(crate) fn interface_prefix(options: &BTreeMap<String, String>) -> String {
    text(options, INTERFACE_PREFIX).unwrap_or(DEFAULT_PREFIX).to_owned()
}

/// How containers share the parent; `None` on a bridge.
fn sharing(definition: &NetworkDefinition) -> Result<Option<Sharing>, Error> {
    match definition.driver {
        NetworkDriver::Macvlan => macvlan::sharing(&definition.options).map(Some),
        NetworkDriver::Ipvlan => ipvlan::sharing(&definition.options).map(Some),
        NetworkDriver::Bridge | NetworkDriver::Host | NetworkDriver::Null | NetworkDriver::Overlay => {
            Ok(None)
        }
    }
}

fn on_parent(record: &NetworkRecord, sharing: Sharing) -> Result<ParentOptions, Error> {
    let definition = &record.definition;
    let dummy = match sharing {
        Sharing::Macvlan(_) => macvlan::DUMMY_PREFIX,
        Sharing::Ipvlan { .. } => ipvlan::DUMMY_PREFIX,
    };
    let parent = match parent(definition) {
        Some(name) => ParentChoice::Named(name.to_owned()),
        None => ParentChoice::Dummy(format!("{dummy}{}", record.id.short())),
    };
    Ok(ParentOptions {
        parent,
        sharing,
        ipv4: definition.ipv4.then(|| addresses::<Ipv4Addr>(&definition.pools)).flatten(),
        ipv6: definition.ipv6.then(|| addresses::<Ipv6Addr>(&definition.pools)).flatten(),
        mtu: mtu(&definition.options)?,
        internal: definition.internal,
    })
}

fn addresses<A: Family>(pools: &[Pool]) -> Option<ParentAddresses<A>> {
    let pool = pool_of::<A>(pools)?;
    Some(ParentAddresses {
        gateway: gateway_address(pool)?,
        range: pool.range.and_then(subnet),
        reserved: pool.auxiliary.values().copied().filter_map(Family::of).collect(),
    })
}
