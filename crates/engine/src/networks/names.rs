//! The names by which containers in a network find each other: a file that the containers' shims read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{ContainerId, NetworkId};
use shim_protocol::names::{NamedEndpoint, NetworkNames, names_file, replace_names_file};

use crate::error::{Error, file_error};

/// The names in one network. Only this writes its file.
pub(crate) struct SharedNames {
    file: PathBuf,
    /// Held until the file has the same content.
    known: Mutex<Known>,
}

struct Known {
    names: NetworkNames,
    /// The names of each container, as they were added.
    endpoints: BTreeMap<ContainerId, NamedEndpoint>,
}

impl SharedNames {
    /// The names of a network without endpoints.
    pub(super) fn new(exec_root: &Path, id: &NetworkId, name: &str) -> Self {
        let known = Known { names: NetworkNames::new(name), endpoints: BTreeMap::new() };
        Self { file: names_file(exec_root, id.as_str()), known: Mutex::new(known) }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a container these names and no others.
    ///
    /// # Errors
    /// When the file cannot be written; the next change writes it.
    pub(crate) fn set(&self, container: &ContainerId, endpoint: NamedEndpoint) -> Result<(), Error> {
        let mut known = self.known();
        if known.endpoints.get(container) == Some(&endpoint) {
            return Ok(());
        }
        known.put(container, endpoint);
        self.write(&known)
    }

    /// Removes a container's names, if it has any.
    ///
    /// # Errors
    /// When the file cannot be written; the next change writes it.
    pub(crate) fn forget(&self, container: &ContainerId) -> Result<(), Error> {
        let mut known = self.known();
        let Some(endpoint) = known.endpoints.remove(container) else { return Ok(()) };
        known.names.remove(&endpoint);
        self.write(&known)
    }

    /// Adds a container that ran before this daemon; [`Self::bring_up_to_date`] follows.
    pub(super) fn know(&self, container: &ContainerId, endpoint: NamedEndpoint) {
        self.known().put(container, endpoint);
    }

    /// Writes the file that an earlier daemon may have left otherwise.
    pub(super) fn bring_up_to_date(&self) -> Result<(), Error> {
        let known = self.known();
        match known.endpoints.is_empty() && !self.file.exists() {
            true => Ok(()),
            false => self.write(&known),
        }
    }

    fn write(&self, known: &Known) -> Result<(), Error> {
        replace_names_file(&self.file, &known.names.content()).map_err(file_error("write", &self.file))
    }

    /// Removes the file of a network that is being removed and has no endpoints.
    pub(super) fn remove_file(&self) {
        let _alone = self.known();
        remove(&self.file);
    }
}

impl Known {
    fn put(&mut self, container: &ContainerId, endpoint: NamedEndpoint) {
        self.names.add(&endpoint);
        match self.endpoints.entry(container.clone()) {
            Entry::Occupied(mut other) => self.names.remove(&other.insert(endpoint)),
            Entry::Vacant(none) => {
                none.insert(endpoint);
            }
        }
    }
}

/// Removes files that belong to no network: an earlier daemon died before it could.
pub(super) fn sweep(exec_root: &Path, is_known: impl Fn(&NetworkId) -> bool) {
    let id = |path: &Path| match path.extension()?.to_str()? {
        "names" => NetworkId::parse(path.file_stem()?.to_str()?).ok(),
        _ => None,
    };
    // All files are in one directory.
    let Some(directory) = names_file(exec_root, "any").parent().map(Path::to_owned) else { return };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if id(&entry.path()).is_none_or(|id| !is_known(&id)) {
            remove(&entry.path());
        }
    }
}

fn remove(file: &Path) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}: {error}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> NetworkId {
        NetworkId::from_random([7; 32])
    }

    fn named(name: &str) -> NamedEndpoint {
        NamedEndpoint {
            name: name.to_owned(),
            other_names: vec!["all".to_owned()],
            addresses: vec![[10, 0, 0, 1].into()],
        }
    }

    #[test]
    fn the_file_follows_each_change_and_goes() {
        let root = tempfile::tempdir().expect("a directory");
        let names = SharedNames::new(root.path(), &network(), "own");
        let read = || std::fs::read_to_string(names.file()).expect("the file");
        let (one, other) = (ContainerId::from_random([1; 32]), ContainerId::from_random([2; 32]));
        names.set(&one, named("web")).expect("set");
        names.set(&other, named("db")).expect("set");
        assert!(read().contains("n web 10.0.0.1\n") && read().contains("n db 10.0.0.1\n"), "{}", read());
        names.set(&one, named("front")).expect("renamed");
        assert!(!read().contains("web") && read().contains("n front 10.0.0.1\n"), "{}", read());
        names.forget(&one).expect("forgotten");
        names.forget(&one).expect("nothing to forget");
        assert_eq!(read(), "berth-names 1 own\nn all 10.0.0.1\nn db 10.0.0.1\np 10.0.0.1 db\n");
        std::fs::write(names.file(), "left by a daemon").expect("written");
        names.bring_up_to_date().expect("written");
        assert!(read().contains("n db"), "{}", read());
        names.remove_file();
        assert!(!names.file().exists());
    }

    #[test]
    fn files_of_no_network_are_swept() {
        let root = tempfile::tempdir().expect("a directory");
        let names = SharedNames::new(root.path(), &network(), "own");
        names.bring_up_to_date().expect("nothing to write");
        assert!(!names.file().exists());
        names.set(&ContainerId::from_random([1; 32]), named("web")).expect("set");
        let lost = names_file(root.path(), NetworkId::from_random([8; 32]).as_str());
        let half = names.file().with_extension("names.new");
        for stray in [&lost, &half] {
            std::fs::write(stray, "").expect("written");
        }
        sweep(root.path(), |id| *id == network());
        assert!(names.file().exists() && !lost.exists() && !half.exists());
    }
}
