//! A build's own directory for its context, downloads and half-made layers.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;

use crate::identity::random_digits;

/// A directory that goes with the build.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory of a random name.
    ///
    /// # Errors
    /// What mkdir(2) or getrandom(2) fails with.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        let path = parent.join(random_digits()?);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Makes an empty directory in it.
    ///
    /// # Errors
    /// What mkdir(2) fails with.
    pub(crate) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A path in it where nothing is yet.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The client need not wait for thousands of files to go.
        let path = std::mem::take(&mut self.0);
        thread::spawn(move || {
            if let Err(error) = images::remove_tree(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a build's directory");
            }
        });
    }
}

/// Makes the directory of all builds, and removes what earlier builds left in it.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn sweep(parent: &Path) -> io::Result<()> {
    fs::create_dir_all(parent)?;
    for entry in fs::read_dir(parent)? {
        images::remove_tree(&entry?.path())?;
    }
    Ok(())
}
