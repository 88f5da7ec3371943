//! The mount points in a container: left out of its changes, and removed from its layer where they only served
//! as mount points.
//!
//! The container may have replaced a directory on the way by a symlink (CVE-2024-23652): every path is walked beneath
//! its layer, and no symlink is followed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use crate::container::{Record, mounts};
use crate::error::{Error, file_error};

/// Where the runtime mounts something in every container.
const MOUNT_POINTS: [&str; 12] = [
    // Nothing is mounted there, but the runtime makes it as it makes the others.
    "/.dockerenv",
    "/proc",
    "/sys",
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/dev/console",
    "/etc/resolv.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/sys/fs/cgroup",
];

/// Every place in the container at which something is mounted.
pub(crate) fn mount_points(record: &Record) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = MOUNT_POINTS.iter().map(PathBuf::from).collect();
    points.extend(record.mounts.iter().map(|mount| mounts::clean(&mount.destination)));
    points.extend(record.settings.host.tmpfs.iter().flat_map(|tmpfs| tmpfs.keys()).map(mounts::clean));
    let targets = record.settings.host.mounts.iter().flatten().map(|mount| mounts::clean(&mount.target));
    points.extend(targets);
    points
}

/// Removes empty files and directories at `points` that no layer below has, marks that something is deleted there which no
/// layer below has, and directories that are there only because of them.
pub(crate) fn prune(upper: &Path, lower: &[PathBuf], points: &[PathBuf]) -> Result<(), Error> {
    let mut points: Vec<&Path> =
        points.iter().map(|point| point.strip_prefix("/").unwrap_or(point)).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    let here = open(upper).map_err(|errno| file_error("open", upper)(errno.into()))?;
    // Most layers have nothing near any of them.
    let mut tops = TopNames { layer: &here, known: Vec::new() };
    for point in points {
        if !tops.has(point).map_err(file_error("look into", upper))? {
            continue;
        }
        let mut place = Some(point);
        while let Some(path) = place.filter(|path| !path.as_os_str().is_empty()) {
            let removed = remove_if_unneeded(&here, lower, path);
            if !removed.map_err(file_error("remove the mount point", &upper.join(path)))? {
                break;
            }
            place = path.parent();
        }
    }
    Ok(())
}

/// The searched names in a layer's own directory.
struct TopNames<'a> {
    layer: &'a OwnedFd,
    known: Vec<(&'a OsStr, bool)>,
}

impl<'a> TopNames<'a> {
    /// Whether the first name of a path is there.
    fn has(&mut self, path: &'a Path) -> io::Result<bool> {
        let Some(top) = path.iter().next() else { return Ok(false) };
        if let Some((_, is_there)) = self.known.iter().find(|(known, _)| *known == top) {
            return Ok(*is_there);
        }
        let is_there = stat(self.layer, top)?.is_some();
        self.known.push((top, is_there));
        Ok(is_there)
    }
}

/// Removes an empty thing that no layer below has, or a directory that is below as it is here.
fn remove_if_unneeded(upper: &OwnedFd, lower: &[PathBuf], path: &Path) -> io::Result<bool> {
    let Some((parent, name)) = parent_of(upper, path)? else { return Ok(true) };
    let Some(found) = stat(&parent, name)? else { return Ok(true) };
    let mut below = None;
    for layer in lower {
        below = match parent_of(&open(layer)?, path)? {
            Some((parent, name)) => stat(&parent, name)?,
            None => None,
        };
        if below.is_some() {
            break;
        }
    }
    let is_directory = kind(&found) == FileType::Directory;
    let is_unneeded = match &below {
        None => {
            is_directory
                || (kind(&found) == FileType::RegularFile && found.st_size == 0)
                || is_whiteout(&found)
        }
        Some(below) => is_directory && is_same_directory(&found, below),
    };
    if !is_unneeded {
        return Ok(false);
    }
    let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match unlinkat(&parent, name, flags) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn open(layer: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The directory of a path and the name in it; nothing where the way is not one of directories alone.
fn parent_of<'a>(layer: &OwnedFd, path: &'a Path) -> io::Result<Option<(OwnedFd, &'a OsStr)>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(layer, parent, flags, Mode::empty(), resolve) {
        Ok(parent) => Ok(Some((parent, name))),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn stat(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn kind(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

/// Whether this is overlay's mark of a deleted name (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
/// directories").
fn is_whiteout(found: &Stat) -> bool {
    kind(found) == FileType::CharacterDevice && found.st_rdev == 0
}

fn is_same_directory(one: &Stat, other: &Stat) -> bool {
    (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_served_for_mounting_goes() {
        let root = std::env::temp_dir().join(format!("berth-prune-{}", std::process::id()));
        let (upper, lower) = (root.join("upper"), root.join("lower"));
        for directory in ["upper/proc", "upper/etc", "upper/var/kept", "lower/etc"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        fs::write(upper.join("etc/hosts"), "").expect("a file");
        fs::write(upper.join("etc/resolv.conf"), "changed").expect("a file");
        let points = ["/proc", "/etc/hosts", "/etc/resolv.conf", "/var"].map(PathBuf::from);
        prune(&upper, &[lower], &points).expect("pruned");
        assert!(!upper.join("proc").exists() && !upper.join("etc/hosts").exists());
        assert!(upper.join("etc/resolv.conf").exists() && upper.join("var/kept").exists());
        fs::remove_dir_all(&root).expect("removed");
    }

    #[test]
    fn a_symlink_in_the_place_of_a_directory_leads_nowhere() {
        let root = std::env::temp_dir().join(format!("berth-prune-links-{}", std::process::id()));
        let victim = root.join("victim");
        fs::create_dir_all(victim.join("empty")).expect("a directory");
        fs::create_dir_all(root.join("upper")).expect("a directory");
        fs::write(victim.join("hosts"), "").expect("a file");
        std::os::unix::fs::symlink(&victim, root.join("upper/etc")).expect("a symlink");
        let points = ["/etc/hosts", "/etc/empty"].map(PathBuf::from);
        prune(&root.join("upper"), &[], &points).expect("pruned");
        assert!(victim.join("hosts").exists() && victim.join("empty").exists());
        fs::remove_dir_all(&root).expect("removed");
    }
}
