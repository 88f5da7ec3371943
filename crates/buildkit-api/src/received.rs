//! The directories that clients have sent, kept so that the next build gets only what has changed since.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::builder::{CacheKind, CacheRecord};
use engine::images::digest_of;
use model::Timestamp;

use crate::session::{Session, SyncRequest, receive};
use crate::synced::{Contents, SyncError, Tree};

/// Directories that are kept; the one used longest ago goes.
const KEPT_LIMIT: usize = 16;
/// Directories that are larger are not kept.
const KEPT_BYTES: u64 = 1 << 30;
/// The hexadecimal digits of a record's id.
const ID_DIGITS: usize = 25;

/// The received directories.
#[derive(Debug)]
pub(crate) struct Received {
    contents: Contents,
    /// The one used last is the last.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// The client's key.
    key: String,
    tree: Arc<Tree>,
    created: Timestamp,
    used: Timestamp,
    /// How many builds have received it.
    uses: u64,
}

impl Kept {
    fn record(&self) -> CacheRecord {
        let digest = digest_of(self.key.as_bytes());
        CacheRecord {
            id: digest.hexadecimal().chars().take(ID_DIGITS).collect(),
            kind: CacheKind::Received,
            parents: Vec::new(),
            description: format!("local source for {}", self.key),
            size: self.tree.bytes(),
            created: Some(self.created),
            used: Some(self.used),
            uses: self.uses,
            in_use: Arc::strong_count(&self.tree) > 1,
            shared: false,
        }
    }
}

/// A received directory, and the bytes that had to be sent for it.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) tree: Arc<Tree>,
    pub(crate) sent: u64,
}

impl Received {
    /// Keeps contents in a directory, which is made, or emptied.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        Ok(Self { contents: Contents::open(directory)?, kept: Mutex::default() })
    }

    /// Receives a directory; `key` identifies its earlier states.
    ///
    /// # Errors
    /// [`SyncError`] when the client fails, is gone, or sends what it must not.
    pub(crate) async fn receive(
        &self,
        session: &Session,
        request: &SyncRequest,
        key: Option<&str>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Arrived, SyncError> {
        let known = key.and_then(|key| self.take(key));
        let synced = receive(session, request, &self.contents, known.as_deref(), progress).await?;
        let tree = Arc::new(synced.tree);
        let mut forgotten = None;
        if let Some(key) = key
            && tree.bytes() <= KEPT_BYTES
        {
            forgotten = self.keep(key, &tree);
        }
        // Thousands of entries, and files that nobody needs any more: the build does not wait until they are gone.
        tokio::task::spawn_blocking(move || drop((known, forgotten)));
        Ok(Arrived { tree, sent: synced.sent })
    }

    fn take(&self, key: &str) -> Option<Arc<Tree>> {
        let kept = self.lock();
        kept.iter().find(|kept| kept.key == key).map(|kept| Arc::clone(&kept.tree))
    }

    /// Keeps a directory; gives the one that is kept no longer.
    fn keep(&self, key: &str, tree: &Arc<Tree>) -> Option<Kept> {
        let mut kept = self.lock();
        let now = Timestamp::now();
        let before = kept.iter().position(|kept| kept.key == key).map(|index| kept.remove(index));
        let (created, uses) = before.map_or((now, 0), |before| (before.created, before.uses));
        let (key, tree) = (key.to_owned(), Arc::clone(tree));
        kept.push(Kept { key, tree, created, used: now, uses: uses + 1 });
        (kept.len() > KEPT_LIMIT).then(|| kept.remove(0))
    }

    /// The directories that are kept.
    pub(crate) fn records(&self) -> Vec<CacheRecord> {
        self.lock().iter().map(Kept::record).collect()
    }

    /// Removes the selected directories that no build reads, and returns their records.
    pub(crate) fn forget(&self, is_meant: &dyn Fn(&CacheRecord) -> bool) -> Vec<CacheRecord> {
        let mut gone = Vec::new();
        self.lock().retain(|kept| {
            let record = kept.record();
            let goes = !record.in_use && is_meant(&record);
            if goes {
                gone.push(record);
            }
            !goes
        });
        gone
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
