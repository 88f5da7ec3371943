//! A thread with a mount namespace of its own: its mounts are seen nowhere else, and end with it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

/// Runs `work` on a thread in a new mount namespace in which nothing propagates to others, and
/// gives its result with the namespace: its mounts last as long as the descriptor is open.
///
/// # Errors
/// When the thread cannot be started or no namespace be made (it needs CAP_SYS_ADMIN).
pub fn in_private_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<(T, OwnedFd)> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("mounts".to_owned()).spawn_scoped(scope, || {
            unshare_mounts()?;
            let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", flags)?;
            let namespace = File::open("/proc/thread-self/ns/mnt")?;
            Ok((work(), OwnedFd::from(namespace)))
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread with its own mounts panicked")))
    })
}

fn unshare_mounts() -> io::Result<()> {
    // SAFETY: CLONE_NEWNS gives only the calling thread a new mount namespace, with its own root
    // and working directory (unshare(2): it implies CLONE_FS); no descriptors or memory change.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_stay_with_the_namespace() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let place = std::env::temp_dir().join(format!("berth-mounts-{}", std::process::id()));
        std::fs::create_dir(&place).expect("a directory");
        let work = || {
            let flags = rustix::mount::MountFlags::empty();
            rustix::mount::mount("tmpfs", &place, "tmpfs", flags, None)?;
            std::fs::write(place.join("inside"), "x")?;
            File::open(&place)
        };
        let (root, namespace) = in_private_mounts(work).expect("a namespace");
        let root = root.expect("mounted");
        assert!(!place.join("inside").exists(), "the host does not see it");
        let found = rustix::fs::statat(&root, "inside", rustix::fs::AtFlags::empty());
        assert_eq!(found.expect("still there").st_size, 1);
        drop((root, namespace));
        std::fs::remove_dir(&place).expect("nothing is mounted");
    }
}
