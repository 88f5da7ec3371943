//! The store: images, their layers, their names; in memory for readers, in SQLite for good.
//!
//! ```text
//! images.db             images, layers, names, and every config and manifest as it came
//! layers/<key>/         one directory a layer, see `layer`
//! blobs/sha256/<hex>    downloads under way
//! temporary/            what is not recorded yet, swept at the next start
//! ```
//!
//! Writers hold the database's lock from their first check to the change in memory; readers take
//! the index alone and never wait for a disk. A layer stays as long as an image refers to it or
//! someone holds a [`Layer`].

mod change;
mod children;
mod database;
mod documents;
mod images;
mod index;
mod layers;
mod log;
mod name;
mod names;
mod settle;
mod sweep;
mod write_out;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::Connection;

use crate::Error;
use crate::budget::{Budget, DEFAULT_ALLOWANCE};
use crate::remove::{ImageUse, ImageUsers};
pub use documents::digest_of;
pub(crate) use documents::parse as parse_document;
pub use images::{Image, NewImage, Published};
pub(crate) use index::{ImageRecord, Index, LayerKey};
pub use layers::{AdoptedLayer, Layer, LayerBlob};
pub use log::keep_log;
pub(crate) use name::{Name, names_of};
pub use names::{Naming, TagPolicy};

/// A handle to the image store; clones are the same store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    root_descriptor: OwnedFd,
    database: Mutex<Connection>,
    index: RwLock<Index>,
    configs: Mutex<documents::RecentConfigs>,
    /// Which boot of the machine this is.
    boot: String,
    /// Held while layers are written out.
    settling: Mutex<()>,
    /// Who uses images.
    users: RwLock<Option<Arc<dyn ImageUsers>>>,
    /// What a compressed archive may become without a look at its size, in bytes.
    allowance: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("root", &self.shared.root).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in the directory `root`, made if it is missing, and sweeps what an earlier
    /// process left half done.
    ///
    /// # Errors
    /// `Internal` when the directory or the database cannot be used.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        for part in ["layers", "blobs/sha256", "temporary"] {
            let directory = root.join(part);
            std::fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        }
        let descriptor = std::fs::File::open(&root).map_err(Error::file("open", &root))?;
        let mut connection = database::open(&root.join("images.db"))?;
        let index = database::load(&mut connection)?;
        let shared = Shared {
            root,
            root_descriptor: descriptor.into(),
            database: Mutex::new(connection),
            index: RwLock::new(index),
            configs: Mutex::default(),
            boot: settle::boot()?,
            settling: Mutex::new(()),
            users: RwLock::new(None),
            allowance: AtomicU64::new(DEFAULT_ALLOWANCE),
        };
        let store = Self { shared: Arc::new(shared) };
        store.check_unsettled()?;
        store.sweep()?;
        Ok(store)
    }

    /// Sets who knows which images are in use. Until then none is.
    pub fn set_users(&self, users: Arc<dyn ImageUsers>) {
        *self.shared.users.write().unwrap_or_else(PoisonError::into_inner) = Some(users);
    }

    /// Who uses which image now.
    pub(crate) fn uses(&self) -> Vec<ImageUse> {
        let users = self.shared.users.read().unwrap_or_else(PoisonError::into_inner).clone();
        users.map(|users| users.uses()).unwrap_or_default()
    }

    /// Sets how many bytes a compressed archive may become, however small it is.
    pub fn set_unpack_allowance(&self, bytes: u64) {
        self.shared.allowance.store(bytes, Ordering::Relaxed);
    }

    /// What archives that belong together may become.
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

impl Shared {
    // A panic in another thread leaves both consistent: they change only after all checks.
    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configs(&self) -> MutexGuard<'_, documents::RecentConfigs> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names something that nobody else names: 16 random hexadecimal digits.
pub(crate) fn random_name() -> Result<String, Error> {
    let mut bytes = [0_u8; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|error| Error::file("read", "/dev/urandom")(error.into()))?;
    }
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
