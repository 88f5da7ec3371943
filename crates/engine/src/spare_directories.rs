//! The directories of steps that are over, for the next steps of the same build: some disks take longer to make a few files than
//! a step takes for all else.
//!
//! ```text
//! containers/<one step> ─ over, its layer taken ─▶ trash/<one step> ─▶ containers/<another step>
//! ```
//!
//! Of what a step could reach only the resolver files stay, and those only with the attributes that they were made with; their
//! content is rewritten for the next step. The trash is deleted with the build, and at the daemon's next start where a build
//! did not finish.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::{ContainerId, NetworkMode};

use crate::container::{Container, Phase, Purpose};
use crate::disposal::delete_tree;
use crate::paths::Paths;

/// Overlay's work directory.
const WORK: &str = "work";
/// The resolver files of a step.
const RESOLVER_FILES: [&str; 3] = ["hostname", "hosts", "resolv.conf"];
/// The type and mode of those files.
const RESOLVER_MODE: u32 = 0o100_644;
/// Longer ones are created again.
const RESOLVER_SIZE: u64 = 64 << 10;

/// The directories that a build has for its next steps.
pub(crate) struct SpareDirectories {
    paths: Arc<Paths>,
    ready: Mutex<Vec<PathBuf>>,
}

impl SpareDirectories {
    pub(crate) fn new(paths: &Arc<Paths>) -> Self {
        Self { paths: Arc::clone(paths), ready: Mutex::default() }
    }

    /// Takes the directory of a finished step that is about to be removed, unless its files are being read.
    pub(crate) async fn take(&self, container: &Container) {
        // Its end takes down what it had, under the same lock.
        let _order = container.transition.lock().await;
        let record = container.record();
        let is_over = container.purpose == Purpose::Step && record.phase == Phase::Exited;
        if !is_over || record.settings.host.storage_options.is_some() {
            return;
        }
        let host = &record.settings.host;
        let shares_files = host.mounts.iter().flatten().next().is_some()
            || host.binds.iter().flatten().next().is_some()
            || host.network_mode == NetworkMode::Host;
        // It may have passed a descriptor of its files to a process in the same directory or network.
        if shares_files {
            return;
        }
        // What became no layer may be large: it is deleted as that of any other container.
        if fs::symlink_metadata(self.paths.upper(&record.id)).is_ok() {
            return;
        }
        let target = self.paths.trash().join(record.id.as_str());
        match container.tree.take_over(&self.paths.container(&record.id), &target) {
            Ok(true) => self.keep(target),
            Ok(false) => {}
            // It is removed as any other.
            Err(error) => tracing::debug!("the directory of step {} is not kept: {error}", record.id),
        }
    }

    /// Makes a directory that is there the one of a container to come.
    pub(crate) fn give(&self, id: &ContainerId) {
        let Some(spare) = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return };
        if let Err(error) = fs::rename(&spare, self.paths.container(id)) {
            tracing::debug!("the directory {} is of no use: {error}", spare.display());
            delete_tree(&spare);
        }
    }

    fn keep(&self, directory: PathBuf) {
        match is_usable(&directory) {
            Ok(true) => self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(directory),
            Ok(false) => delete_tree(&directory),
            Err(error) => {
                tracing::debug!("the directory {} is of no use: {error}", directory.display());
                delete_tree(&directory);
            }
        }
    }
}

impl Drop for SpareDirectories {
    fn drop(&mut self) {
        let left = std::mem::take(&mut *self.ready.lock().unwrap_or_else(PoisonError::into_inner));
        let delete = move || left.iter().for_each(|directory| delete_tree(directory));
        // The client need not wait for it.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(delete)),
            Err(_) => delete(),
        }
    }
}

/// Removes what the step may have changed; whether nothing is there then but what a step begins with.
fn is_usable(directory: &Path) -> io::Result<bool> {
    let owner = owner_of(&fs::symlink_metadata(directory)?);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let metadata = fs::symlink_metadata(&path)?;
        if name == WORK && metadata.is_dir() {
            continue;
        }
        if !metadata.is_file() || !RESOLVER_FILES.iter().any(|known| name == *known) {
            return Ok(false);
        }
        if !is_plain(&path, &metadata, owner)? {
            fs::remove_file(&path)?;
        }
    }
    Ok(true)
}

/// Removes the resolver files whose attributes the step has changed: they are created again for the next one.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn remove_changed_files(directory: &Path) -> io::Result<()> {
    let owner = owner_of(&fs::symlink_metadata(directory)?);
    for path in RESOLVER_FILES.map(|name| directory.join(name)) {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if is_plain(&path, &metadata, owner)? => {}
            Ok(_) => fs::remove_file(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a file of a step's resolver is as it was made, but for its content.
fn is_plain(path: &Path, metadata: &fs::Metadata, owner: (u32, u32)) -> io::Result<bool> {
    Ok(metadata.mode() == RESOLVER_MODE
        && owner_of(metadata) == owner
        && metadata.nlink() == 1
        && metadata.len() <= RESOLVER_SIZE
        && rustix::fs::llistxattr(path, &mut [0_u8; 0])? == 0)
}

fn owner_of(metadata: &fs::Metadata) -> (u32, u32) {
    (metadata.uid(), metadata.gid())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("berth-spare-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join(WORK).join(WORK)).expect("directories");
            for file in RESOLVER_FILES {
                fs::write(path.join(file), "content").expect("a file");
                fs::set_permissions(path.join(file), fs::Permissions::from_mode(0o644)).expect("a mode");
            }
            Self(path)
        }

        fn files(&self) -> usize {
            RESOLVER_FILES.iter().filter(|name| self.0.join(name).exists()).count()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_stay_as_they_were_made_or_go() {
        let directory = Directory::new("files");
        assert!(is_usable(&directory.0).expect("a directory"));
        assert_eq!(directory.files(), 3);
        fs::set_permissions(directory.0.join("hosts"), fs::Permissions::from_mode(0o600)).expect("a mode");
        fs::hard_link(directory.0.join("hostname"), directory.0.with_extension("link")).expect("a link");
        assert!(is_usable(&directory.0).expect("a directory"));
        fs::remove_file(directory.0.with_extension("link")).expect("removed");
        assert_eq!(directory.files(), 1);
        fs::File::create(directory.0.join("resolv.conf"))
            .and_then(|file| file.set_len(RESOLVER_SIZE + 1))
            .expect("a long file");
        assert!(is_usable(&directory.0).expect("a directory"));
        assert_eq!(directory.files(), 0);
    }

    #[test]
    fn a_directory_with_anything_else_is_of_no_use() {
        for other in ["upper", "anything"] {
            let directory = Directory::new(other);
            fs::create_dir(directory.0.join(other)).expect("a directory");
            assert!(!is_usable(&directory.0).expect("a directory"));
        }
        let directory = Directory::new("symlink");
        fs::remove_file(directory.0.join("hosts")).expect("removed");
        std::os::unix::fs::symlink("/etc/hosts", directory.0.join("hosts")).expect("a symlink");
        assert!(!is_usable(&directory.0).expect("a directory"));
    }
}
