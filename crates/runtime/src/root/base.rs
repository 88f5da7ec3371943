//! The root file system itself: an overlay or a directory, entered by pivot_root(2).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use model::RootFilesystem;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use sys::mount::{AttributeChange, MountAttributes};

use super::place::Root;
use crate::StartError;
use crate::error::Doing;

/// The longest string that fsconfig(2) takes, with its final zero byte.
const LONGEST_OPTION: usize = 255;

/// Stops mounts made here from reaching the host. Binds were copied before and keep their own ways.
pub(crate) fn make_private() -> Result<(), StartError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", private).doing("making the mounts private")
}

/// Mounts the root, makes it the process's root and lets go of the host's.
pub(crate) fn enter(root: &RootFilesystem) -> Result<Root, StartError> {
    let (mount, place) = match root {
        RootFilesystem::Overlay { lower, upper, work } => (overlay(lower, upper, work)?, upper),
        RootFilesystem::Directory(path) => (directory(path)?, path),
    };
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&mount, c"", CWD, place, flags).doing("attaching the root")?;
    rustix::process::fchdir(&mount).doing("entering the root")?;
    drop(mount);
    rustix::process::pivot_root(c".", c".").doing("changing the root")?;
    // The old root lies on top of the new one now.
    rustix::mount::unmount(c".", UnmountFlags::DETACH).doing("leaving the host's root")?;
    rustix::process::chdir(c"/").doing("entering the root")?;
    let directory = rustix::fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .doing("opening the root")?;
    Ok(Root::new(directory))
}

/// Makes the root read-only, the last of all changes.
pub(crate) fn make_read_only(root: &Root) -> Result<(), StartError> {
    let change = AttributeChange { set: MountAttributes::READ_ONLY, ..AttributeChange::default() };
    sys::mount::set_attributes(root, c"", change).doing("making the root read-only")
}

fn directory(path: &Path) -> Result<OwnedFd, StartError> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags).doing_with(|| format!("mounting {}", path.display()))
}

fn overlay(lower: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd, StartError> {
    match overlay_by_descriptor(lower, upper, work) {
        // Kernels before 6.5 do not know `lowerdir+`.
        Err(Errno::INVAL) => overlay_by_string(lower, upper, work),
        other => other.doing("mounting the overlay"),
    }
}

fn overlay_by_descriptor(lower: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut held = Vec::new();
    let mut set = |key: &str, path: &Path| -> Result<(), Errno> {
        if path.as_os_str().len() < LONGEST_OPTION {
            return rustix::mount::fsconfig_set_string(&context, key, path);
        }
        let directory = open_layer(path)?;
        let result = rustix::mount::fsconfig_set_string(&context, key, magic_path(&directory));
        held.push(directory);
        result
    };
    for layer in lower {
        set("lowerdir+", layer)?;
    }
    set("upperdir", upper)?;
    set("workdir", work)?;
    for (key, value) in [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    rustix::mount::fsconfig_set_string(&context, "source", "overlay")?;
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RELATIME)
}

/// mount(2) takes one page of options: layers are named by their descriptors' numbers, relative
/// to /proc/self/fd, so that five hundred of them fit.
fn overlay_by_string(lower: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd, StartError> {
    let act = "mounting the overlay";
    let layers: Vec<OwnedFd> =
        lower.iter().map(|path| open_layer(path)).collect::<Result<_, _>>().doing(act)?;
    let (upper_fd, work_fd) = (open_layer(upper).doing(act)?, open_layer(work).doing(act)?);
    let names: Vec<String> = layers.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,redirect_dir=nofollow",
        names.join(":"),
        upper_fd.as_raw_fd(),
        work_fd.as_raw_fd()
    );
    if options.len() >= 4096 {
        return Err(StartError::system(act, io::Error::from(io::ErrorKind::ArgumentListTooLong)));
    }
    rustix::process::chdir(c"/proc/self/fd").doing(act)?;
    let options = std::ffi::CString::new(options).map_err(io::Error::other).doing(act)?;
    rustix::mount::mount(c"overlay", upper, c"overlay", MountFlags::empty(), Some(options.as_c_str()))
        .doing(act)?;
    directory(upper)
}

fn open_layer(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn magic_path(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}
