//! Makes one node of a tree on the host's file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, futimens, mknodat, utimensat};

use super::node::{Attribute, Metadata, Modified, Node, NodeKind};
use super::{attributes, holes};

/// Where a file's content comes from.
pub(crate) enum Content<'a> {
    /// A file of the same file system whose inode becomes the new file's.
    Link(&'a Path),
    /// A file that stays as it is.
    Copy(&'a Path),
    /// The content that this writes into the new file.
    Written(&'a mut dyn FnMut(&File) -> io::Result<()>),
    /// These bytes.
    Bytes(&'a [u8]),
    /// Nothing: the node has no content.
    None,
}

/// Makes a node as [`create`] does, replacing what is there.
///
/// # Errors
/// What the kernel refuses it with.
pub(super) fn replace(path: &Path, node: &Node, content: &mut Content<'_>) -> io::Result<()> {
    match create(path, node, content) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove(path)?;
            create(path, node, content)
        }
        done => done,
    }
}

/// Removes whatever a directory itself has under a path; whether something was there.
///
/// # Errors
/// What the kernel refuses it with.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => images::remove_tree(path).map(|()| true),
        Ok(_) => fs::remove_file(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a node that is not there, with its content and all that belongs to it.
///
/// # Errors
/// What the kernel refuses it with; `AlreadyExists` where something has the name.
pub(super) fn create(path: &Path, node: &Node, content: &mut Content<'_>) -> io::Result<()> {
    let metadata = &node.metadata;
    match (&node.kind, content) {
        (NodeKind::File { .. }, Content::Link(source)) => fs::hard_link(source, path)?,
        (NodeKind::File { .. }, content) => return create_file(path, metadata, content),
        (NodeKind::Symlink { target }, _) => {
            symlink(target, path)?;
            lchown(path, Some(metadata.user), Some(metadata.group))?;
            return metadata.modified.map_or(Ok(()), |modified| set_time(path, modified));
        }
        (NodeKind::Fifo, _) => mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0)?,
        (NodeKind::Device { block, number }, _) => {
            let kind = if *block { FileType::BlockDevice } else { FileType::CharacterDevice };
            mknodat(CWD, path, kind, Mode::RUSR, *number)?;
        }
        (NodeKind::Directory, _) => fs::create_dir(path)?,
    }
    dress(path, metadata)?;
    metadata.modified.map_or(Ok(()), |modified| set_time(path, modified))
}

/// Makes a file as a whole, by its descriptor: thousands of paths take long to walk.
fn create_file(path: &Path, metadata: &Metadata, content: &mut Content<'_>) -> io::Result<()> {
    let mode = metadata.mode & 0o777;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    match content {
        Content::Copy(source) | Content::Link(source) => holes::copy(source, &file)?,
        Content::Written(write) => write(&file)?,
        Content::Bytes(bytes) => file.write_all(bytes)?,
        Content::None => {}
    }
    let found = file.metadata()?;
    if (found.uid(), found.gid()) != (metadata.user, metadata.group) {
        fchown(&file, Some(metadata.user), Some(metadata.group))?;
    }
    // What the process masks, and the bits that open(2) does not set.
    if found.mode() & 0o7777 != metadata.mode {
        file.set_permissions(fs::Permissions::from_mode(metadata.mode))?;
    }
    attributes::write_attributes(path, &metadata.attributes)?;
    metadata.modified.map_or(Ok(()), |modified| Ok(futimens(&file, &times(modified))?))
}

/// Sets owner, mode and attributes, in the order in which none takes another away.
///
/// # Errors
/// What the kernel refuses it with.
pub(super) fn dress(path: &Path, metadata: &Metadata) -> io::Result<()> {
    lchown(path, Some(metadata.user), Some(metadata.group))?;
    let mode = Mode::from_bits_truncate(metadata.mode);
    rustix::fs::chmod(path, mode)?;
    let attributes: &[Attribute] = &metadata.attributes;
    attributes::write_attributes(path, attributes)
}

/// Sets a node's time of modification, a symbolic link not followed.
///
/// # Errors
/// What utimensat(2) fails with.
pub(super) fn set_time(path: &Path, modified: Modified) -> io::Result<()> {
    Ok(utimensat(CWD, path, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(modified: Modified) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}
