//! A container's directory, which is deleted only when it has no readers left.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::disposal::delete_tree;
use crate::error::file_error;

/// The directory of a container while that is there.
pub(crate) struct OwnTree(Mutex<Option<TreeHold>>);

/// Keeps a container's files from being deleted, though not their directory from being moved away: what was opened
/// can be read to its end.
#[derive(Clone)]
pub(crate) struct TreeHold(Arc<Disposal>);

/// Deletes what it names once the last hold has gone.
#[derive(Default)]
struct Disposal(OnceLock<PathBuf>);

impl Default for OwnTree {
    fn default() -> Self {
        Self(Mutex::new(Some(TreeHold(Arc::default()))))
    }
}

impl OwnTree {
    /// Holds the files; nothing when the container's removal has taken them away.
    pub(crate) fn hold(&self) -> Option<TreeHold> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves the directory elsewhere, unless its files are held; returns whether it did. Nothing can hold them any more
    /// then.
    ///
    /// # Errors
    /// Those of rename(2); the container still has its directory.
    pub(crate) fn take_over(&self, directory: &Path, target: &Path) -> std::io::Result<bool> {
        let mut hold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Holds are given out under the same lock.
        if hold.as_ref().is_none_or(|TreeHold(disposal)| Arc::strong_count(disposal) > 1) {
            return Ok(false);
        }
        std::fs::rename(directory, target)?;
        *hold = None;
        Ok(true)
    }

    /// Moves the directory to the trash, where it is deleted in the background as soon as its files are not held
    /// any more.
    pub(crate) fn throw_away(&self, directory: &Path, trash: PathBuf) {
        let Some(TreeHold(disposal)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        match std::fs::rename(directory, &trash) {
            Ok(()) => drop(disposal.0.set(trash)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{}", file_error("move away", directory)(error)),
        }
    }
}

impl Drop for Disposal {
    fn drop(&mut self) {
        let Some(trash) = self.0.take() else { return };
        let delete = move || delete_tree(&trash);
        // Neither the removal nor the last reader waits for it. The next daemon deletes what is left.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(delete)),
            Err(_) => delete(),
        }
    }
}
