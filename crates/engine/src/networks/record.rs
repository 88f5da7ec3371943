//! The record of a network, as it is saved and shown.

use std::net::IpAddr;

use model::{NetworkDefinition, NetworkId, Timestamp};

use crate::endpoint::{BRIDGE, HOST, NONE};

/// The record of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRecord {
    /// Its id.
    pub id: NetworkId,
    /// When it was made.
    pub created: Timestamp,
    /// Its requested definition, with the values that were chosen for it.
    pub definition: NetworkDefinition,
    /// The addresses that its bridge had before it; `None` where the bridge is the engine's own.
    pub shared_bridge: Option<Vec<IpAddr>>,
}

impl NetworkRecord {
    /// Whether it is one of those that are always there.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        is_predefined(&self.definition.name)
    }
}

/// Whether a network of this name is always there.
pub(crate) fn is_predefined(name: &str) -> bool {
    [BRIDGE, HOST, NONE].contains(&name)
}
