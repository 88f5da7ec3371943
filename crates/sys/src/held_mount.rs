//! A mount that no process sees: the root of a mount namespace without processes. It lasts as long as a descriptor of
//! the namespace is open, and a holder of one can copy the mount.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::mount::{AttributeChange, PropagationType, set_attributes};
use crate::private_mounts::in_private_mounts;

/// Puts a detached mount into a namespace of its own; returns the namespace. `place` is any directory of the host:
/// nothing happens to it.
///
/// # Errors
/// Those of unshare(2), move_mount(2) and pivot_root(2).
pub fn hold(mount: &OwnedFd, place: &Path) -> io::Result<OwnedFd> {
    let (is_root, namespace) = in_private_mounts(|| become_root(mount, place))?;
    is_root.map(|()| namespace)
}

/// Makes the mount all that there is in the calling thread's own namespace.
fn become_root(mount: &OwnedFd, place: &Path) -> io::Result<()> {
    // A copy of a shared mount is its peer, and no root may be that: pivot_root(2).
    let propagation = Some(PropagationType::Private);
    let change = AttributeChange { propagation, recursive: true, ..AttributeChange::default() };
    set_attributes(mount, c"", change)?;
    move_mount(mount, c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(mount)?;
    rustix::process::pivot_root(c".", c".")?;
    // The host's root lies on top of the new one now.
    Ok(unmount(c".", UnmountFlags::DETACH)?)
}

/// Copies a held mount; the copy is detached. For processes with several threads.
///
/// # Errors
/// Those of unshare(2), setns(2) and open_tree(2).
pub fn copy(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("mounts".to_owned()).spawn_scoped(scope, || {
            // SAFETY: CLONE_FS gives only the calling thread a root and a working directory of its own.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }?;
            copy_from_within(namespace)
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that copies a mount panicked")))
    })
}

/// Copies a held mount, and returns to the mount namespace in which the caller is, and to its root. For processes
/// with a single thread.
///
/// # Errors
/// Those of setns(2) and open_tree(2).
pub fn copy_and_return(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let home = File::open("/proc/self/ns/mnt")?;
    let copied = copy_from_within(namespace);
    move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Mount))?;
    copied
}

/// A mount can be copied only from within its own mount namespace.
fn copy_from_within(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Mount))?;
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, c"/", flags)?)
}

/// Opens the mount namespace that another process has open under a number.
///
/// # Errors
/// When the process is gone or has something else there.
pub fn of_process(pid: u32, number: i32) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{number}");
    if !std::fs::read_link(&path)?.to_string_lossy().starts_with("mnt:") {
        return Err(io::Error::other(format!("{path} is no mount namespace")));
    }
    Ok(File::open(path)?.into())
}

#[cfg(test)]
mod tests {
    use rustix::fs::{AtFlags, Mode, OFlags};

    use super::*;
    use crate::filesystem::{self, MountOptions};

    #[test]
    fn a_copy_of_a_shared_mount_is_held_too() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let place = std::env::temp_dir().join(format!("berth-held-shared-{}", std::process::id()));
        std::fs::create_dir(&place).expect("a directory");
        let memory = filesystem::mount("tmpfs", "tmpfs", &MountOptions::parse("size=1m")).expect("a tmpfs");
        let shared_copy = || -> io::Result<OwnedFd> {
            move_mount(&memory, c"", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            rustix::mount::mount_change(&place, rustix::mount::MountPropagationFlags::SHARED)?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(open_tree(CWD, &place, flags)?)
        };
        let (copied, namespace) = in_private_mounts(shared_copy).expect("a namespace");
        let held = hold(&copied.expect("a copy"), &place).expect("held");
        let _copy = copy(held.as_fd()).expect("a copy");
        drop(namespace);
        std::fs::remove_dir(&place).expect("nothing is mounted");
    }

    #[test]
    fn copies_share_what_is_held_and_the_host_sees_nothing() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let place = std::env::temp_dir().join(format!("berth-held-{}", std::process::id()));
        std::fs::create_dir(&place).expect("a directory");
        let memory = filesystem::mount("tmpfs", "tmpfs", &MountOptions::parse("size=1m")).expect("a tmpfs");
        let held = hold(&memory, &place).expect("held");
        drop(memory);
        let (first, second) = (copy(held.as_fd()).expect("a copy"), copy(held.as_fd()).expect("a copy"));
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(rustix::fs::openat(&first, "file", flags, Mode::from_raw_mode(0o600)).expect("a file"));
        assert!(rustix::fs::statat(&second, "file", AtFlags::empty()).is_ok(), "both show it");
        let again = of_process(std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held)).expect("the same");
        drop((first, second, held));
        let third = copy(again.as_fd()).expect("a copy");
        assert!(rustix::fs::statat(&third, "file", AtFlags::empty()).is_ok(), "it lasts");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the host's mounts");
        assert!(!mounts.contains(place.to_str().expect("a path")), "{mounts}");
        std::fs::remove_dir(&place).expect("nothing is mounted");
    }
}
