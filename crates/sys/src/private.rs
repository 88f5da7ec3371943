//! Directories and files that the host's other users can neither enter nor read.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use rustix::fs::Mode;

/// Only the owner may enter.
const DIRECTORY: u32 = 0o700;
/// The group may pass through, not list.
const DIRECTORY_FOR_GROUP: u32 = 0o710;
/// Only the owner may read.
const FILE: u32 = 0o600;

/// Sets the mode that files get which name none: what the process's parent had set could open them to everyone,
/// or close to containers what they must read.
pub fn set_usual_umask() {
    rustix::process::umask(Mode::from_raw_mode(0o022));
}

/// Makes a directory with those above it, or closes the one that is there.
///
/// # Errors
/// Those of mkdir(2) and chmod(2).
pub fn directory(path: &Path) -> io::Result<()> {
    make(path)?;
    set_mode(path, DIRECTORY)
}

/// Whether a directory is there and closed as [`directory`] closes it.
///
/// # Errors
/// Those of stat(2), but for a directory that is missing.
pub fn is_closed(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        metadata => Ok(metadata?.mode() & 0o7777 == DIRECTORY),
    }
}

/// Makes a directory that members of a group may pass through, or closes the one that is there to all others.
///
/// # Errors
/// Those of mkdir(2), chown(2) and chmod(2).
pub fn directory_for_group(path: &Path, group: u32) -> io::Result<()> {
    make(path)?;
    if fs::metadata(path)?.gid() != group {
        // Not for a moment may the new group have what the old one had.
        set_mode(path, DIRECTORY)?;
        chown(path, None, Some(group))?;
    }
    set_mode(path, DIRECTORY_FOR_GROUP)
}

/// Makes an empty file, or closes the one that is there.
///
/// # Errors
/// Those of open(2) and chmod(2).
pub fn file(path: &Path) -> io::Result<()> {
    create_options().truncate(false).open(path)?;
    set_mode(path, FILE)
}

/// Closes a file or a directory where there is one; a symlink is not followed.
///
/// # Errors
/// Those of lstat(2) and chmod(2).
pub fn close(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    match metadata.file_type() {
        kind if kind.is_dir() => set_mode(path, DIRECTORY),
        kind if kind.is_file() => set_mode(path, FILE),
        _ => Ok(()),
    }
}

/// Makes a file for writing; what was in one that is there goes.
///
/// # Errors
/// Those of open(2).
pub fn create(path: &Path) -> io::Result<File> {
    create_options().truncate(true).open(path)
}

fn create_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(FILE);
    options
}

fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(path)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("metadata").mode() & 0o7777
    }

    #[test]
    fn what_was_open_is_closed() {
        let root = std::env::temp_dir().join(format!("berth-private-{}", std::process::id()));
        let (open, new) = (root.join("open"), root.join("a/b/new"));
        fs::create_dir_all(&open).expect("a directory");
        fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("a mode");
        fs::write(open.join("file"), "kept").expect("a file");
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).expect("a symlink");
        assert!(!is_closed(&open).expect("open") && !is_closed(&new).expect("missing"));
        directory(&open).expect("closed");
        assert!(is_closed(&open).expect("closed"));
        directory(&new).expect("made");
        file(&open.join("file")).expect("closed");
        file(&new.join("file")).expect("made");
        close(&root.join("link")).expect("left alone");
        close(&root.join("missing")).expect("nothing to close");
        assert_eq!((mode(&open), mode(&new)), (0o700, 0o700));
        assert_eq!((mode(&open.join("file")), mode(&new.join("file"))), (0o600, 0o600));
        assert_eq!(fs::read_to_string(open.join("file")).expect("a file"), "kept");
        directory_for_group(&new, 12345).expect("opened for a group");
        assert_eq!((mode(&new), fs::metadata(&new).expect("metadata").gid()), (0o710, 12345));
        assert_eq!(fs::metadata("/etc/passwd").expect("metadata").mode() & 0o777, 0o644);
        fs::remove_dir_all(&root).expect("removed");
    }
}
