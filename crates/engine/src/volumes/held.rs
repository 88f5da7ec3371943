//! Volumes that are mounts of their own: mounted when the first container that uses them starts, unmounted with the
//! end of the last one. No mount of the host shows them.
//!
//! ```text
//! the volume's mount ── the root of a mount namespace without processes
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

/// The volumes that are mounted now. The lock is never held while a file system is waited for.
#[derive(Default)]
pub(crate) struct HeldMounts(Mutex<HashMap<String, Held>>);

/// One volume, and the containers that use it.
#[derive(Default)]
struct Held {
    /// Held while it is being mounted.
    mounting: Arc<Mutex<()>>,
    namespace: Option<Arc<OwnedFd>>,
    /// Those that wait until it is mounted too.
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
    /// Returns the namespace of a volume for a container that uses it; `open` mounts it for the first
    /// container. A mount in progress blocks only callers that need the same volume.
    ///
    /// # Errors
    /// Those of `open`; then the container does not use the volume.
    pub(super) fn hold(
        &self,
        volume: &str,
        user: &ContainerId,
        open: impl FnOnce() -> Result<OwnedFd, Error>,
    ) -> Result<Arc<OwnedFd>, Error> {
        let mounting = {
            let mut all = self.all();
            let held = all.entry(volume.to_owned()).or_default();
            held.users.insert(user.clone());
            if let Some(namespace) = &held.namespace {
                return Ok(Arc::clone(namespace));
            }
            Arc::clone(&held.mounting)
        };
        let _order = mounting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(namespace) = self.namespace(volume) {
            return Ok(namespace);
        }
        match open() {
            Ok(namespace) => {
                let namespace = Arc::new(namespace);
                if let Some(held) = self.all().get_mut(volume) {
                    held.namespace = Some(Arc::clone(&namespace));
                }
                Ok(namespace)
            }
            Err(error) => {
                drop(self.let_go(volume, user));
                Err(error)
            }
        }
    }

    /// A container uses a volume no more. Gives the namespace of one that no other uses: it is no longer mounted once
    /// that is closed, for which its file system may be waited for.
    #[must_use = "closing it may take long"]
    pub(super) fn let_go(&self, volume: &str, user: &ContainerId) -> Option<Arc<OwnedFd>> {
        let mut all = self.all();
        let held = all.get_mut(volume)?;
        held.users.remove(user);
        if !held.users.is_empty() {
            return None;
        }
        all.remove(volume)?.namespace
    }

    /// The namespace of a volume that containers use.
    pub(super) fn namespace(&self, volume: &str) -> Option<Arc<OwnedFd>> {
        self.all().get(volume)?.namespace.clone()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn user(number: u8) -> ContainerId {
        ContainerId::from_random([number; 32])
    }

    fn file() -> OwnedFd {
        std::fs::File::open("/dev/null").expect("a file").into()
    }

    #[test]
    fn a_mount_that_takes_long_keeps_nobody_waiting_who_leaves() {
        let held = Arc::new(HeldMounts::default());
        let (begun, begins) = mpsc::channel();
        let (answer, answers) = mpsc::channel::<()>();
        let (left, leaves) = mpsc::channel();
        let slow = Arc::clone(&held);
        let mount = std::thread::spawn(move || {
            let open = || {
                begun.send(()).expect("the test");
                answers.recv().expect("the test");
                Ok(file())
            };
            slow.hold("data", &user(1), open).map(drop)
        });
        begins.recv().expect("its beginning");
        let leaving = Arc::clone(&held);
        let leave = std::thread::spawn(move || {
            let gone = leaving.let_go("data", &user(2)).is_some();
            left.send(gone || leaving.namespace("data").is_some()).expect("the test");
        });
        let gone = leaves.recv_timeout(Duration::from_secs(60)).expect("it waits for the mount of another");
        assert!(!gone, "it is mounted by and by");
        answer.send(()).expect("the mount");
        mount.join().expect("a thread").expect("a mount");
        leave.join().expect("a thread");
        assert!(held.namespace("data").is_some());
        assert!(held.let_go("data", &user(1)).is_some() && held.namespace("data").is_none());
    }

    #[test]
    fn a_volume_stays_mounted_for_the_last_that_uses_it() {
        let held = HeldMounts::default();
        let refused = held.hold("data", &user(1), || Err(Error::refused("no")));
        assert!(refused.is_err() && held.all().is_empty());
        let first = held.hold("data", &user(1), || Ok(file())).expect("a mount");
        let second = held.hold("data", &user(2), || Err(Error::refused("twice"))).expect("the same");
        assert!(Arc::ptr_eq(&first, &second));
        assert!(held.let_go("data", &user(1)).is_none() && held.namespace("data").is_some());
        assert!(held.let_go("data", &user(2)).is_some() && held.all().is_empty());
        assert!(held.let_go("data", &user(2)).is_none());
    }
}
