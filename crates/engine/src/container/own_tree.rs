//! A container's directory, which is deleted only when nobody reads it any more.

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

    /// Moves the directory elsewhere, unless somebody holds its files; whether it did. Nobody can hold them any more then.
    ///
    /// # Errors
    /// Those of rename(2); the container has its directory still.
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

    /// Moves the directory to the trash, where it is deleted in the background as soon as nobody holds its files.
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
        // Nobody waits for it, neither the removal nor the last reader. The next daemon sweeps what is left.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(delete)),
            Err(_) => delete(),
        }
    }
}
