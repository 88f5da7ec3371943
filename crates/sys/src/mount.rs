//! mount_setattr(2), which rustix lacks.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Attributes of a mount that can be switched on or off, `MOUNT_ATTR_*` of linux/mount.h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountAttributes(u64);

#[allow(missing_docs, reason = "the kernel's own terms")]
impl MountAttributes {
    pub const READ_ONLY: Self = Self(0x1);
    pub const NO_SET_USER_ID: Self = Self(0x2);
    pub const NO_DEVICES: Self = Self(0x4);
    pub const NO_EXECUTE: Self = Self(0x8);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where changes of mounts beneath a mount travel, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's own terms")]
pub enum PropagationType {
    Private,
    Slave,
    Shared,
}

/// The changes of [`set_attributes`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttributeChange {
    /// Attributes switched on.
    pub set: MountAttributes,
    /// Attributes switched off.
    pub clear: MountAttributes,
    /// The propagation; `None` leaves it.
    pub propagation: Option<PropagationType>,
    /// Also for all mounts beneath.
    pub recursive: bool,
}

#[repr(C)]
struct RawMountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Changes a mount, named by a path from a descriptor; an empty path is the descriptor's own mount.
/// Attributes not named stay, locked ones included.
///
/// # Errors
/// Those of mount_setattr(2).
pub fn set_attributes(directory: impl AsFd, path: &CStr, change: AttributeChange) -> io::Result<()> {
    let recursive = if change.recursive { libc::AT_RECURSIVE } else { 0 };
    let attributes = RawMountAttributes {
        set: change.set.0,
        clear: change.clear.0,
        propagation: change.propagation.map_or(0, |propagation| match propagation {
            PropagationType::Private => libc::MS_PRIVATE,
            PropagationType::Slave => libc::MS_SLAVE,
            PropagationType::Shared => libc::MS_SHARED,
        }),
        user_namespace: 0,
    };
    set(directory.as_fd(), path, recursive, &attributes)
}

/// `MOUNT_ATTR_IDMAP` of linux/mount.h.
const ID_MAPPED: u64 = 0x0010_0000;

/// Shows the owners of files in a detached mount as a user namespace has them: user 0 is its root.
///
/// # Errors
/// Those of mount_setattr(2): `InvalidInput` where the file system does not support it, or an idmapped mount is mapped
/// again.
pub fn map_owners(mount: impl AsFd, user_namespace: BorrowedFd<'_>, submounts: Submounts) -> io::Result<()> {
    let attributes = RawMountAttributes {
        set: ID_MAPPED,
        clear: 0,
        propagation: 0,
        user_namespace: u64::from(user_namespace.as_raw_fd().unsigned_abs()),
    };
    let recursive = match submounts {
        Submounts::Included => libc::AT_RECURSIVE,
        Submounts::Excluded => 0,
    };
    set(mount.as_fd(), c"", recursive, &attributes)
}

/// Whether mounts beneath a mount are meant too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Submounts {
    Included,
    Excluded,
}

fn set(
    directory: BorrowedFd<'_>,
    path: &CStr,
    recursive: libc::c_int,
    attributes: &RawMountAttributes,
) -> io::Result<()> {
    // SAFETY: the path and the attributes outlive the call and the size is theirs.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | recursive,
            std::ptr::from_ref(attributes),
            std::mem::size_of_val(attributes),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
