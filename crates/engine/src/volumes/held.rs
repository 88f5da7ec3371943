//! Volumes that are mounts of their own: mounted when the first container that uses them starts, gone with the end of
//! the last one. No mount of the host shows them.
//!
//! ```text
//! the volume's mount ── the root of a mount namespace in which nobody lives
//!     the namespace  ── open here while containers use the volume, and in the shim of each of them
//!     a container    ── a copy of the mount, in its own mount namespace
//! ```
//!
//! A daemon that comes later finds the namespaces in the shims.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ContainerId;

use crate::error::Error;

/// The volumes that are mounted now.
#[derive(Default)]
pub(crate) struct HeldMounts(Mutex<HashMap<String, Arc<Mutex<Held>>>>);

/// One volume, and who uses it.
#[derive(Default)]
struct Held {
    namespace: Option<Arc<OwnedFd>>,
    users: BTreeSet<ContainerId>,
}

/// The mount namespace that holds a volume of a container.
#[derive(Debug)]
pub(crate) struct HeldVolume {
    pub(crate) volume: String,
    pub(crate) namespace: Arc<OwnedFd>,
    pub(crate) owners: model::Owners,
}

impl HeldMounts {
    /// The namespace of a volume for a container that uses it; `open` mounts it where no other container does. Whoever
    /// mounts a volume keeps others of the same volume waiting, and no one else.
    ///
    /// # Errors
    /// Those of `open`; then the container does not use it.
    pub(super) fn hold(
        &self,
        volume: &str,
        user: &ContainerId,
        open: impl FnOnce() -> Result<OwnedFd, Error>,
    ) -> Result<Arc<OwnedFd>, Error> {
        let held = self.of(volume);
        let mut held = lock(&held);
        let namespace = match &held.namespace {
            Some(namespace) => Arc::clone(namespace),
            None => Arc::new(open()?),
        };
        held.namespace = Some(Arc::clone(&namespace));
        held.users.insert(user.clone());
        Ok(namespace)
    }

    /// A container uses a volume no more: one that no other uses is no longer mounted.
    pub(super) fn let_go(&self, volume: &str, user: &ContainerId) {
        let held = self.all().get(volume).cloned();
        let Some(held) = held else { return };
        let mut held = lock(&held);
        held.users.remove(user);
        if held.users.is_empty() {
            held.namespace = None;
        }
        drop(held);
        // A second handle means that a container is about to mount it.
        self.all().retain(|_, held| Arc::strong_count(held) > 1 || !lock(held).users.is_empty());
    }

    /// The namespace of a volume that containers use.
    pub(super) fn namespace(&self, volume: &str) -> Option<Arc<OwnedFd>> {
        let held = self.all().get(volume).cloned()?;
        lock(&held).namespace.clone()
    }

    fn of(&self, volume: &str) -> Arc<Mutex<Held>> {
        Arc::clone(self.all().entry(volume.to_owned()).or_default())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Held>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
