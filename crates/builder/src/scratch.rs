//! A build's own directory for its context, downloads and half-made layers.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use model::ContainerId;

use crate::identity::random_digits;

/// Where a build notes its containers: a file of their ids, one a line.
const CONTAINERS: &str = "containers";

/// The directory of what builds keep for later ones.
pub(crate) const CACHE_MOUNTS: &str = "cache-mounts";

/// The directory of those of them that are being removed: what is left of them goes when the next process starts.
pub(crate) const REMOVED_CACHE_MOUNTS: &str = "removed-cache-mounts";

/// The directory of notes on layers that do not depend on those below.
pub(crate) const LINKED: &str = "linked";

/// The directory of notes on layers by those below.
pub(crate) const KNOWN: &str = "known-layers";

/// The directory of notes on downloads.
pub(crate) const DOWNLOADS: &str = "downloads";

/// A directory that is removed with the build.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// The file of the containers' ids, which all threads of the build append to.
    containers: File,
    /// How many directories were made in it.
    directories: AtomicU64,
}

impl Scratch {
    /// Makes a directory of a random name.
    ///
    /// # Errors
    /// What mkdir(2) or getrandom(2) fails with.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        let path = parent.join(random_digits()?);
        DirBuilder::new().mode(0o700).create(&path)?;
        let containers = OpenOptions::new().append(true).create_new(true).open(path.join(CONTAINERS))?;
        Ok(Self { path, containers, directories: AtomicU64::new(0) })
    }

    /// Records a container, so that it can be found should this process end before the build does.
    ///
    /// # Errors
    /// What write(2) fails with.
    pub(crate) fn note_container(&self, container: &ContainerId) -> io::Result<()> {
        // At once: what a kill cuts off is no id, and has no container yet.
        (&self.containers).write_all(format!("{container}\n").as_bytes())
    }

    /// Makes an empty directory in it, of a name that begins with `name`.
    ///
    /// # Errors
    /// What mkdir(2) fails with.
    pub(crate) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let number = self.directories.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("{name}-{number}"));
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A path in it where nothing is yet.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes the directory before the build fails: its disk may be the full one.
    pub(crate) fn remove(mut self) {
        remove_tree(&std::mem::take(&mut self.path));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        // The client need not wait for thousands of files to go.
        let path = std::mem::take(&mut self.path);
        let removed = path.clone();
        let thread = thread::Builder::new().name("scratch".to_owned());
        if thread.spawn(move || remove_tree(&removed)).is_err() {
            // No thread can be made: it is removed here.
            remove_tree(&path);
        }
    }
}

fn remove_tree(path: &Path) {
    if let Err(error) = images::remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a build's directory");
    }
}

/// Makes the directory of all builds, removes what earlier builds left in it, and gives the
/// containers that they had noted.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn sweep(parent: &Path) -> io::Result<Vec<ContainerId>> {
    fs::create_dir_all(parent)?;
    let mut containers = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if [CACHE_MOUNTS, LINKED, KNOWN, DOWNLOADS].iter().any(|kept| path.ends_with(kept)) {
            continue;
        }
        // Earlier releases noted them as files of a directory.
        for noted in fs::read_dir(path.join(CONTAINERS)).into_iter().flatten().flatten() {
            containers.extend(noted.file_name().to_str().and_then(|name| ContainerId::parse(name).ok()));
        }
        // What is no build's directory has noted nothing.
        if let Ok(noted) = File::open(path.join(CONTAINERS)) {
            for line in BufReader::new(noted).lines().map_while(Result::ok) {
                containers.extend(ContainerId::parse(&line).ok());
            }
        }
        images::remove_tree(&path)?;
    }
    Ok(containers)
}

/// Makes a directory that only root enters, or empties it.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn empty(path: &Path) -> io::Result<()> {
    images::remove_tree(path)?;
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}
