//! Directories of the store that are not yet a part of it.

use std::path::{Path, PathBuf};

use super::random_name;
use crate::{Error, tree};

/// A directory below `temporary/` that is removed unless it becomes part of the store.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) kept: bool,
}

impl Place {
    /// Makes one in a store.
    pub(super) fn new(root: &Path) -> Result<Self, Error> {
        let path = root.join("temporary").join(random_name()?);
        sys::private::directory(&path).map_err(Error::file("make", &path))?;
        Ok(Self { path, kept: false })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = tree::remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a temporary directory");
        }
    }
}
