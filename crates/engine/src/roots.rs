//! Closes the engine's directories to the host's other users at every start, whatever modes they had before.
//!
//! A container's files keep the modes that the container gave them, set-user-ID programs among them: what keeps a
//! user of the host from running these (CVE-2021-41091) is that no directory above them lets him through. The
//! containers themselves do not pass these directories: what they see of them was mounted by root.

use std::path::{Path, PathBuf};

use sys::private;

use crate::error::{Error, file_error};
use crate::options::Options;

/// The directories beneath the data root.
const PARTS: [&str; 9] = [
    "containers",
    "volumes",
    "trash",
    "builds",
    "images",
    "images/layers",
    "images/blobs",
    "images/blobs/sha256",
    "images/temporary",
];

/// Those of them that hold one directory for each container, volume or layer.
const WITH_ENTRIES: [&str; 3] = ["containers", "volumes", "images/layers"];

/// The databases; SQLite gives the files beside them their mode.
const DATABASES: [&str; 2] = ["state.db", "images/images.db"];

/// Makes both roots, with all parts, and closes them.
///
/// # Errors
/// When a directory cannot be made or changed.
pub(crate) fn close(options: &Options) -> Result<(), Error> {
    close_root(&options.data_root, &options.sockets)?;
    for part in PARTS {
        close_directory(&options.data_root.join(part))?;
    }
    for part in WITH_ENTRIES {
        close_entries(&options.data_root.join(part))?;
    }
    close_logs(&options.data_root.join("containers"))?;
    for database in DATABASES {
        close_database(&options.data_root.join(database))?;
    }
    close_root(&options.exec_root, &options.sockets)?;
    let containers = options.exec_root.join("containers");
    close_directory(&containers)?;
    close_entries(&containers)?;
    entries(&containers)?.iter().filter(|path| path.is_dir()).try_for_each(|run| close_entries(run))
}

/// Clients who are members of a socket's group must be able to pass through to it.
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

fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = file_error("list", directory);
    let listed = std::fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()
    });
    listed.map_err(failed)
}
