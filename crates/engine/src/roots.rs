//! Closes the engine's directories to the host's other users at every start, whatever modes they had before.
//!
//! The entries of a directory are closed before the directory itself: one that is found closed needs no check of its
//! entries, of which a host may have thousands.
//!
//! A container's files keep the modes that the container gave them, set-user-ID programs among them: a user
//! of the host cannot run these (CVE-2021-41091) because the directories above them do not let him through.
//! The containers themselves do not pass these directories: root mounted what they see of them.

use std::path::{Path, PathBuf};

use sys::{private, unrelated};

use crate::error::{Error, file_error};
use crate::options::Options;

/// The directories beneath the data root but for [`WITH_ENTRIES`].
const PARTS: [&str; 6] =
    ["trash", "builds", "images", "images/blobs", "images/blobs/sha256", "images/temporary"];

/// Those among them in which builds and pulls make a directory each, with up to as many files as a layer has.
const UNRELATED: [&str; 2] = ["builds", "images/temporary"];

/// Those that hold one directory for each container, volume or layer.
const WITH_ENTRIES: [&str; 3] = ["containers", "volumes", "images/layers"];

/// The databases; SQLite gives the files beside them their mode.
const DATABASES: [&str; 2] = ["state.db", "images/images.db"];

/// Makes both roots, with all parts, and closes them.
///
/// # Errors
/// When a directory cannot be made or changed.
pub(crate) fn close(options: &Options) -> Result<(), Error> {
    close_data_root(&options.data_root, &options.sockets)?;
    close_exec_root(&options.exec_root, &options.sockets)
}

fn close_data_root(root: &Path, sockets: &[PathBuf]) -> Result<(), Error> {
    close_root(root, sockets)?;
    for part in PARTS {
        close_directory(&root.join(part))?;
    }
    for part in UNRELATED {
        // It is quicker, that is all.
        if let Err(error) = unrelated::spread_directories(&root.join(part)) {
            tracing::debug!(%error, part, "cannot have a directory's subdirectories placed apart on disk");
        }
    }
    let containers = root.join("containers");
    // Before the directory whose mode marks them as closed.
    if !is_closed(&containers)? {
        close_logs(&containers)?;
    }
    WITH_ENTRIES.iter().try_for_each(|part| close_with_entries(&root.join(part)))?;
    DATABASES.iter().try_for_each(|database| close_database(&root.join(database)))
}

fn close_exec_root(root: &Path, sockets: &[PathBuf]) -> Result<(), Error> {
    close_root(root, sockets)?;
    let runs = root.join("containers");
    if !is_closed(&runs)? {
        entries(&runs)?.iter().filter(|path| path.is_dir()).try_for_each(|run| close_entries(run))?;
    }
    close_with_entries(&runs)
}

/// Members of a socket's group must be able to pass through to it.
fn close_root(root: &Path, sockets: &[PathBuf]) -> Result<(), Error> {
    match group_of_socket_beneath(root, sockets) {
        Some(group) => private::directory_for_group(root, group).map_err(file_error("close", root)),
        None => close_directory(root),
    }
}

/// The group of the first socket beneath a directory that is not root's alone.
fn group_of_socket_beneath(root: &Path, sockets: &[PathBuf]) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let root = root.canonicalize().ok()?;
    let beneath = |socket: &&PathBuf| socket.canonicalize().is_ok_and(|path| path.starts_with(&root));
    let groups = sockets.iter().filter(beneath).filter_map(|socket| socket.metadata().ok());
    groups.map(|metadata| metadata.gid()).find(|group| *group != 0)
}

fn close_directory(path: &Path) -> Result<(), Error> {
    private::directory(path).map_err(file_error("close", path))
}

/// Closes the entries of a directory, then the directory: if the daemon dies in between, the next start does the
/// rest.
fn close_with_entries(directory: &Path) -> Result<(), Error> {
    if !is_closed(directory)? {
        close_entries(directory)?;
    }
    close_directory(directory)
}

fn is_closed(directory: &Path) -> Result<bool, Error> {
    private::is_closed(directory).map_err(file_error("look at", directory))
}

fn close_entries(directory: &Path) -> Result<(), Error> {
    entries(directory)?.iter().try_for_each(|path| private::close(path).map_err(file_error("close", path)))
}

/// Closes the logs that an earlier release let others read; the resolver files stay open to the containers.
fn close_logs(containers: &Path) -> Result<(), Error> {
    let is_log = |path: &&PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains("-json.log"))
    };
    for container in entries(containers)?.iter().filter(|path| path.is_dir()) {
        for log in entries(container)?.iter().filter(is_log) {
            private::close(log).map_err(file_error("close", log))?;
        }
    }
    Ok(())
}

fn close_database(path: &Path) -> Result<(), Error> {
    private::file(path).map_err(file_error("close", path))?;
    for beside in ["db-wal", "db-shm"] {
        let path = path.with_extension(beside);
        private::close(&path).map_err(file_error("close", &path))?;
    }
    Ok(())
}

/// The entries of a directory, which need not exist yet.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed,
    };
    let paths = listed.and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()
    });
    paths.map_err(file_error("list", directory))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
    }

    fn open(path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    #[test]
    fn entries_are_closed_before_their_directory_and_not_looked_at_once_it_is_closed() {
        let parent = tempfile::tempdir().expect("a directory");
        let (data, exec) = (parent.path().join("data"), parent.path().join("run"));
        let close = || close_data_root(&data, &[]).and_then(|()| close_exec_root(&exec, &[]));
        close().expect("new roots");
        let (containers, runs) = (data.join("containers"), exec.join("containers"));
        let (container, run) = (containers.join("one"), runs.join("one"));
        for path in [&container, &run] {
            fs::create_dir(path).expect("a directory");
        }
        let (log, specification) = (container.join("one-json.log"), run.join("spec.json"));
        for path in [&log, &specification] {
            fs::write(path, "").expect("a file");
        }
        let made = [&container, &run, &log, &specification];
        made.iter().for_each(|path| open(path));
        close().expect("roots that are closed");
        assert_eq!(made.map(|path| mode(path)), [0o755; 4], "nothing was looked at");
        // As a start leaves it that died before it had closed all entries.
        [&containers, &runs].iter().for_each(|path| open(path));
        close().expect("roots that are open");
        assert_eq!(made.map(|path| mode(path)), [0o700, 0o700, 0o600, 0o600]);
        assert_eq!([&containers, &runs].map(|path| mode(path)), [0o700; 2]);
    }
}
