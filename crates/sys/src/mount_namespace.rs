//! A mount namespace for one thread.

use std::io;

use rustix::mount::{MountPropagationFlags, mount_change};

/// Gives the calling thread a mount namespace, working directory and umask of its own; mounts made
/// in it are seen nowhere else and go away with the thread. Only for a thread that ends afterwards.
///
/// # Errors
/// Those of unshare(2): root only.
pub fn unshare_thread() -> io::Result<()> {
    // SAFETY: unshare with these flags touches no memory; the thread's view of files changes only.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    Ok(())
}
