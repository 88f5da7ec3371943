//! File modes as Go's peers send them (`io/fs`): permissions as everywhere, kinds and flags in the upper bits.

use engine::builder::NodeKind;

pub(crate) const DIRECTORY: u32 = 1 << 31;
pub(crate) const SYMLINK: u32 = 1 << 27;
pub(crate) const DEVICE: u32 = 1 << 26;
pub(crate) const FIFO: u32 = 1 << 25;
pub(crate) const SOCKET: u32 = 1 << 24;
pub(crate) const SET_USER: u32 = 1 << 23;
pub(crate) const SET_GROUP: u32 = 1 << 22;
pub(crate) const CHARACTER_DEVICE: u32 = 1 << 21;
pub(crate) const STICKY: u32 = 1 << 20;
pub(crate) const KINDS: u32 = DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | (1 << 19);

/// The mode of permission bits with setuid, setgid and sticky.
pub(crate) const fn of_permissions(permissions: u32) -> u32 {
    let mut mode = permissions & 0o777;
    if permissions & 0o4000 != 0 {
        mode |= SET_USER;
    }
    if permissions & 0o2000 != 0 {
        mode |= SET_GROUP;
    }
    if permissions & 0o1000 != 0 {
        mode |= STICKY;
    }
    mode
}

/// The bits for the kind of a node.
pub(crate) const fn of_kind(kind: &NodeKind) -> u32 {
    match kind {
        NodeKind::Directory => DIRECTORY,
        NodeKind::File { .. } => 0,
        NodeKind::Symlink { .. } => SYMLINK,
        NodeKind::Fifo => FIFO,
        NodeKind::Device { block: true, .. } => DEVICE,
        NodeKind::Device { block: false, .. } => DEVICE | CHARACTER_DEVICE,
    }
}
