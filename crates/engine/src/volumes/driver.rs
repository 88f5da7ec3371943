//! The interface of volume drivers, at which further drivers can be added.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use model::Owners;

use crate::error::Error;

/// Puts the first content into a volume's directory; returns whether there is any.
pub(crate) type Fill<'f> = &'f mut dyn FnMut(&Path) -> Result<bool, Error>;

/// Keeps the content of volumes.
pub(crate) trait VolumeDriver: Send + Sync {
    /// Checks the options of a new volume.
    ///
    /// # Errors
    /// One that there is not, that contradicts another, or that the host lacks the means for.
    fn check(&self, options: &BTreeMap<String, String>) -> Result<(), Error>;

    /// Whether the content of a volume with these options is mounted, and no directory of the engine's own.
    fn is_mount(&self, options: &BTreeMap<String, String>) -> bool;

    /// The directory that holds a volume's content.
    fn content(&self, volume: &str) -> PathBuf;

    /// Makes a volume if it does not exist; returns whether it was made. It appears with all that `fill` puts
    /// into it, or not at all.
    ///
    /// # Errors
    /// When it cannot be made, and those of `fill`.
    fn create(&self, volume: &str, options: &BTreeMap<String, String>, fill: Fill<'_>)
    -> Result<bool, Error>;

    /// Puts the first content into an existing, empty volume. Files that are written there meanwhile stay.
    ///
    /// # Errors
    /// When it cannot be read or written, and those of `fill`.
    fn fill_empty(
        &self,
        volume: &str,
        options: &BTreeMap<String, String>,
        fill: Fill<'_>,
    ) -> Result<(), Error>;

    /// Mounts the content of a volume that is a mount, attached nowhere.
    ///
    /// # Errors
    /// When the host refuses.
    fn mount(&self, volume: &str, options: &BTreeMap<String, String>) -> Result<OwnedFd, Error>;

    /// How the owners of a volume's files are mapped in containers with user namespaces of their own.
    fn owners(&self, options: &BTreeMap<String, String>) -> Owners;

    /// Removes a volume without waiting until its content is deleted; one that does not exist is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, volume: &str) -> Result<(), Error>;

    /// Removes unknown volumes, and what a daemon left half made when it died.
    fn sweep(&self, is_known: &dyn Fn(&str) -> bool);
}
