//! The host's device nodes of a container, in addition to the default ones.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use model::{ContainerSpec, Device, DeviceNumbers, DevicePermissions, IdMapping};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::place::{Kind, Root};
use crate::error::{Doing, failure_of};
use crate::{FailureKind, StartError};

/// More nodes than any machine has: a bound on what a walk of a directory gathers.
const MOST_NODES: usize = 16 * 1024;

/// A node to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where the container sees it.
    pub(crate) path: PathBuf,
    /// Block or character.
    pub(crate) is_block: bool,
    /// Major number.
    pub(crate) major: u32,
    /// Minor number.
    pub(crate) minor: u32,
    mode: u32,
    owner: (u32, u32),
    /// What the container may do with it.
    pub(crate) permissions: DevicePermissions,
    wish: Wish,
}

/// How a node was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// By its own name: the container cannot do without it.
    Named,
    /// With all others of a directory: what is at its place already stays.
    Among,
}

/// Reads the nodes that a specification names from the host.
pub(crate) fn collect(spec: &ContainerSpec) -> Result<Vec<Node>, StartError> {
    let mut nodes = Vec::new();
    if spec.privileged {
        walk(Path::new("/dev"), Path::new("/dev"), DevicePermissions::default(), &mut nodes)
            .doing("reading the host's /dev")?;
    }
    for device in &spec.devices {
        collect_one(device, &mut nodes)?;
    }
    Ok(nodes)
}

fn collect_one(device: &Device, nodes: &mut Vec<Node>) -> Result<(), StartError> {
    let path = device.path_on_host.as_path();
    let fail = |failure, reason: &str| {
        let message = format!(
            "error gathering device information while adding custom device \"{}\": {reason}",
            path.display()
        );
        Err(StartError::words(failure, message))
    };
    if let Some(numbers) = device.numbers {
        nodes.push(named(device, numbers));
        return Ok(());
    }
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let reason = format!("lstat {}: {}", path.display(), model::kernel_words(&error));
            return fail(failure_of(&error), &reason);
        }
    };
    if metadata.is_dir() {
        let before = nodes.len();
        walk(path, &device.path_in_container, device.permissions, nodes)
            .doing_with(|| format!("reading {}", path.display()))?;
        return if nodes.len() > before { Ok(()) } else { fail(FailureKind::System, "not a device node") };
    }
    match node(&metadata, &device.path_in_container, device.permissions, Wish::Named) {
        Some(node) => nodes.push(Node {
            mode: device.mode.map_or(node.mode, |mode| mode & 0o7777),
            owner: (device.owner.unwrap_or(node.owner.0), device.group.unwrap_or(node.owner.1)),
            ..node
        }),
        None => return fail(FailureKind::System, "not a device node"),
    }
    Ok(())
}

/// A node that need not be on the host.
fn named(device: &Device, numbers: DeviceNumbers) -> Node {
    Node {
        path: model::clean(&device.path_in_container),
        is_block: numbers.is_block,
        major: numbers.major,
        minor: numbers.minor,
        mode: device.mode.map_or(0o666, |mode| mode & 0o7777),
        owner: (device.owner.unwrap_or(0), device.group.unwrap_or(0)),
        permissions: device.permissions,
        wish: Wish::Named,
    }
}

fn node(
    metadata: &std::fs::Metadata,
    path: &Path,
    permissions: DevicePermissions,
    wish: Wish,
) -> Option<Node> {
    let is_block = metadata.file_type().is_block_device();
    if !is_block && !metadata.file_type().is_char_device() {
        return None;
    }
    Some(Node {
        path: model::clean(path),
        is_block,
        major: rustix::fs::major(metadata.rdev()),
        minor: rustix::fs::minor(metadata.rdev()),
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        permissions,
        wish,
    })
}

/// Gathers all nodes of a directory, but terminals and what belongs to the host's own session.
fn walk(
    directory: &Path,
    shown_as: &Path,
    permissions: DevicePermissions,
    nodes: &mut Vec<Node>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        let shown = shown_as.join(&name);
        let found = if kind.is_dir() {
            let own = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
            let is_own = own.iter().any(|own| name == *own);
            if is_own { Ok(()) } else { walk(&entry.path(), &shown, permissions, nodes) }
        } else if (kind.is_char_device() || kind.is_block_device()) && name != "console" {
            entry.metadata().map(|found| nodes.extend(node(&found, &shown, permissions, Wish::Among)))
        } else {
            Ok(())
        };
        match found {
            // The host removes devices and directories while they are listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        if nodes.len() > MOST_NODES {
            return Err(io::Error::other("too many device nodes"));
        }
    }
    Ok(())
}

/// Makes the nodes in a directory that will be /dev of a user namespace, with their owners mapped; those whose owners it lacks
/// belong to its root.
pub(crate) fn make_beneath_dev(
    nodes: &[Node],
    directory: &Root,
    mapping: &IdMapping,
) -> Result<(), StartError> {
    let mapped = |node: &Node| {
        let Ok(beneath) = node.path.strip_prefix("/dev") else {
            let message = format!(
                "making the device node {}: a container with a user namespace has devices in /dev alone",
                node.path.display()
            );
            return Err(StartError::words(FailureKind::Refused, message));
        };
        let owner = mapping.on_host(node.owner).or_else(|| mapping.on_host((0, 0)));
        Ok(Node { path: Path::new("/").join(beneath), owner: owner.unwrap_or(node.owner), ..node.clone() })
    };
    make(&nodes.iter().map(mapped).collect::<Result<Vec<_>, _>>()?, directory)
}

/// Makes the nodes; one that a default node or a bind already provides stays as it is.
pub(crate) fn make(nodes: &[Node], root: &Root) -> Result<(), StartError> {
    nodes.iter().try_for_each(|node| {
        let act = || format!("making {}", node.path.display());
        match make_one(node, root) {
            Err(Errno::EXIST) if node.wish == Wish::Named && !is_there(node, root).doing_with(act)? => {
                let message =
                    format!("making the device node {}: something else is there", node.path.display());
                Err(StartError::words(FailureKind::System, message))
            }
            Err(Errno::EXIST) => Ok(()),
            other => other.doing_with(act),
        }
    })
}

/// Whether the same device is at a node's place, perhaps behind a link.
fn is_there(node: &Node, root: &Root) -> rustix::io::Result<bool> {
    let found = match root.find(&node.path) {
        Err(Errno::NOENT) => return Ok(false),
        other => rustix::fs::fstat(other?)?,
    };
    let kind = if node.is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = rustix::fs::makedev(node.major, node.minor);
    Ok(FileType::from_raw_mode(found.st_mode) == kind && found.st_rdev == device)
}

fn make_one(node: &Node, root: &Root) -> rustix::io::Result<()> {
    let Some(name) = node.path.file_name() else { return Err(Errno::INVAL) };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let parent = node.path.parent().unwrap_or(Path::new("/"));
    let parent = root.find_or_make(parent, Kind::Directory)?;
    let parent = super::place::open_beneath(&parent, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
    let kind = if node.is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = rustix::fs::makedev(node.major, node.minor);
    rustix::fs::mknodat(parent.as_fd(), &name, kind, Mode::from_raw_mode(node.mode), device)?;
    let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
    rustix::fs::chownat(parent.as_fd(), &name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}
