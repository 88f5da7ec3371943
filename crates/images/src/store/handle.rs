//! The store's handle and what its clones share.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::Connection;

use super::checkpoint::Checkpoint;
use super::index::Index;
use super::recent_configs::RecentConfigs;
use super::settler::Settler;
use crate::Error;
use crate::budget::Budget;
use crate::uses::{ImageUse, ImageUsers};

/// A handle to the image store; clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) root_descriptor: OwnedFd,
    pub(super) database: Mutex<Connection>,
    pub(super) index: RwLock<Index>,
    pub(super) configs: Mutex<RecentConfigs>,
    /// Which boot of the machine this is.
    pub(super) boot: String,
    /// Has what is recorded written out.
    pub(super) settler: Arc<Settler>,
    pub(super) checkpoint: Checkpoint,
    /// Held while a build records what it made and names it.
    pub(super) recording: Mutex<()>,
    /// The users of images.
    pub(super) users: RwLock<Option<Arc<dyn ImageUsers>>>,
    /// What a compressed archive may become regardless of its size, in bytes.
    pub(super) allowance: AtomicU64,
}

impl Shared {
    // A panic in another thread leaves both consistent: they change only after all checks.
    pub(super) fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn configs(&self) -> MutexGuard<'_, RecentConfigs> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Lets one build at a time record what it made.
    pub(crate) fn recording(&self) -> MutexGuard<'_, ()> {
        self.shared.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the database's page cache that reads and changes have filled.
    ///
    /// # Errors
    /// `Internal` when the database refuses.
    pub fn release_pages(&self) -> Result<(), Error> {
        super::release_pages(&self.shared.database())
            .map_err(Error::database("release the page cache of the store"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.settler.close();
    }
}

/// Makes a unique name: 16 random hexadecimal digits.
pub(crate) fn random_name() -> Result<String, Error> {
    let mut bytes = [0_u8; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|error| Error::file("read", "/dev/urandom")(error.into()))?;
    }
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("root", &self.shared.root).finish_non_exhaustive()
    }
}

impl Store {
    /// Sets the source of the images' uses. Until then none is in use.
    pub fn set_users(&self, users: Arc<dyn ImageUsers>) {
        *self.shared.users.write().unwrap_or_else(PoisonError::into_inner) = Some(users);
    }

    /// All uses of images now.
    pub(crate) fn uses(&self) -> Vec<ImageUse> {
        let users = self.shared.users.read().unwrap_or_else(PoisonError::into_inner).clone();
        users.map(|users| users.uses()).unwrap_or_default()
    }

    /// Sets how many bytes a compressed archive may become, however small it is.
    pub fn set_unpack_allowance(&self, bytes: u64) {
        self.shared.allowance.store(bytes, Ordering::Relaxed);
    }

    /// The limit of the unpacked size of archives that belong together.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.shared.allowance.load(Ordering::Relaxed))
    }

    /// The store's own directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Where downloads under way are kept, named by their digest's digits.
    #[must_use]
    pub fn download_directory(&self) -> PathBuf {
        self.shared.root.join("blobs/sha256")
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.shared.index()
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.shared.index_mut()
    }
}
