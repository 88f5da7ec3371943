//! Removes a volume that no container uses.

use std::sync::Arc;

use model::ContainerId;

use super::service::{Known, Volumes, unknown};
use crate::error::Error;
use crate::outcome::joined;
use crate::store::{Durability, VolumeRow};

/// The result of a request to remove a missing volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    IsRefused,
    IsDone,
}

impl Volumes {
    /// Removes a volume with its content. With `force` one that is not there is removed already.
    ///
    /// # Errors
    /// `NotFound`, and `Conflict` while a container uses it, running or not.
    pub async fn remove(self: &Arc<Self>, name: &str, force: bool) -> Result<(), Error> {
        let (volumes, name) = (Arc::clone(self), name.to_owned());
        let missing = if force { Missing::IsDone } else { Missing::IsRefused };
        joined(tokio::task::spawn_blocking(move || volumes.take_away(&name, missing)).await)?
    }

    pub(super) fn take_away(&self, name: &str, missing: Missing) -> Result<(), Error> {
        let mut known = self.known_settled(name);
        let Some(volume) = known.rows.get(name).cloned() else {
            return match missing {
                Missing::IsDone => Ok(()),
                Missing::IsRefused => Err(unknown(name)),
            };
        };
        let users = self.users(name);
        if !users.is_empty() || known.claims.contains_key(name) {
            let users = users.iter().map(ContainerId::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::conflict(format!("remove {name}: volume is in use - [{users}]")));
        }
        let leaving = self.leaving(&mut known, vec![volume]);
        drop(known);
        leaving.remove(|rows| self.database.write(rows, Durability::Crash).wait_blocking())
    }

    /// Whether a container uses a volume, or one being made will. One container may be left out.
    pub(super) fn is_used(&self, known: &Known, name: &str, but: Option<&ContainerId>) -> bool {
        known.claims.contains_key(name) || self.users(name).iter().any(|user| Some(user) != but)
    }

    pub(super) fn discard(&self, volume: &VolumeRow) {
        if let Err(error) = self.driver(volume.driver).remove(&volume.name) {
            tracing::warn!("cannot remove volume {}: {error}", volume.name);
        }
    }
}
