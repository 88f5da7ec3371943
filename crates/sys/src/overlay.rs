//! Mounts an overlay of layers, in the caller's own mount namespace.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, UnmountFlags};

/// The length of mount(2)'s options: one page.
const PAGE: usize = 4096;

/// Whether fsync(2) in an overlay, and its last unmount, wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncing {
    /// The disk: the last unmount waits until all of the file system below is on it.
    Disk,
    /// Nothing (option `volatile`), where the kernel can. An overlay with the same work directory is not mounted again until
    /// [`forget_volatile`] was called.
    Nothing,
}

/// Lets another overlay be mounted with the work directory of a volatile one, whose upper directory is not used as one again.
///
/// # Errors
/// What unlink(2) or rmdir(2) fails with.
pub fn forget_volatile(work: &Path) -> io::Result<()> {
    // Made by the kernel (Documentation/filesystems/overlayfs.rst, "Volatile mount").
    let incompat = work.join("work/incompat");
    let volatile = incompat.join("volatile");
    let known = ignore_missing(fs::remove_file(volatile.join("dirty")))
        .and_then(|()| ignore_missing(fs::remove_dir(&volatile)))
        .and_then(|()| ignore_missing(fs::remove_dir(&incompat)));
    match known {
        // Another kernel has something else there.
        Err(_) => ignore_missing(fs::remove_dir_all(&incompat)),
        Ok(()) => Ok(()),
    }
}

fn ignore_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Mounts `lower` (topmost first) beneath `upper` and returns the mount. It is detached and ends with its
/// descriptor; with older kernels it lies over `upper` for a moment, so the caller's mount namespace must be
/// private. The working directory may change.
///
/// # Errors
/// Those of fsconfig(2), fsmount(2) and mount(2).
pub fn mount(lower: &[PathBuf], upper: &Path, work: &Path, syncing: Syncing) -> io::Result<OwnedFd> {
    let mounted = match by_descriptor(lower, upper, work, syncing) {
        // Kernels before 6.5 do not have `lowerdir+`.
        Err(Errno::INVAL) => by_string(lower, upper, work, syncing),
        other => Ok(other?),
    };
    match mounted {
        // Kernels before 5.10 do not have `volatile`.
        Err(error)
            if syncing == Syncing::Nothing && error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
        {
            by_string(lower, upper, work, Syncing::Disk)
        }
        other => other,
    }
}

/// Mounts layers alone, topmost first, so that nothing can be written; detached.
///
/// # Errors
/// Those of open_tree(2), fsconfig(2) and fsmount(2); several layers need Linux 6.5.
pub fn mount_read_only(layers: &[PathBuf]) -> io::Result<OwnedFd> {
    if let [layer] = layers {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        return Ok(rustix::mount::open_tree(CWD, layer, flags)?);
    }
    let context = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for layer in layers {
        rustix::mount::fsconfig_set_string(&context, "lowerdir+", magic_path(&open_layer(layer)?))?;
    }
    rustix::mount::fsconfig_set_string(&context, "source", "overlay")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RELATIME | MountAttrFlags::MOUNT_ATTR_RDONLY;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// The kernel shows the given strings in the table of mounts, which processes in the root can read: layers are
/// named by descriptors, so that it does not show the host's paths. (FSCONFIG_SET_FD, where the kernel has it,
/// would make it show them.)
fn by_descriptor(lower: &[PathBuf], upper: &Path, work: &Path, syncing: Syncing) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |key: &str, path: &Path| -> Result<(), Errno> {
        // The kernel resolves the directory at once.
        let directory = open_layer(path)?;
        rustix::mount::fsconfig_set_string(&context, key, magic_path(&directory))
    };
    for layer in lower {
        set("lowerdir+", layer)?;
    }
    set("upperdir", upper)?;
    set("workdir", work)?;
    for (key, value) in [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    if syncing == Syncing::Nothing {
        rustix::mount::fsconfig_set_flag(&context, "volatile")?;
    }
    rustix::mount::fsconfig_set_string(&context, "source", "overlay")?;
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RELATIME)
}

/// Layers are named by their descriptors' numbers, relative to /proc/self/fd, so that five hundred
/// of them fit into one page.
fn by_string(lower: &[PathBuf], upper: &Path, work: &Path, syncing: Syncing) -> io::Result<OwnedFd> {
    let layers: Vec<OwnedFd> = lower.iter().map(|path| open_layer(path)).collect::<Result<_, _>>()?;
    let (upper_fd, work_fd) = (open_layer(upper)?, open_layer(work)?);
    let names: Vec<String> = layers.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    let volatile = match syncing {
        Syncing::Disk => "",
        Syncing::Nothing => ",volatile",
    };
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,redirect_dir=nofollow{volatile}",
        names.join(":"),
        upper_fd.as_raw_fd(),
        work_fd.as_raw_fd()
    );
    if options.len() >= PAGE {
        return Err(io::ErrorKind::ArgumentListTooLong.into());
    }
    rustix::process::chdir(c"/proc/self/fd")?;
    let options = CString::new(options)?;
    rustix::mount::mount(c"overlay", upper, c"overlay", MountFlags::empty(), Some(options.as_c_str()))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let detached = rustix::mount::open_tree(CWD, upper, flags)?;
    rustix::mount::unmount(upper, UnmountFlags::DETACH)?;
    Ok(detached)
}

fn open_layer(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn magic_path(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_marks_a_work_directory_goes_whatever_it_is() {
        let work = std::env::temp_dir().join(format!("berth-volatile-{}", std::process::id()));
        let incompat = work.join("work/incompat");
        for others in [false, true] {
            fs::create_dir_all(incompat.join("volatile")).expect("directories");
            fs::write(incompat.join("volatile/dirty"), "").expect("a file");
            if others {
                fs::create_dir(incompat.join("another")).expect("a directory");
            }
            forget_volatile(&work).expect("forgotten");
            assert!(!incompat.exists() && work.join("work").exists());
        }
        forget_volatile(&work).expect("nothing to forget");
        fs::remove_dir_all(&work).expect("removed");
    }
}
