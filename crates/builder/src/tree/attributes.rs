//! Extended attributes, without those that overlay keeps for itself.

use std::ffi::CString;
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

use super::Attribute;

/// Overlay's own attributes on a layer's directories and files.
const OVERLAY: &[u8] = b"trusted.overlay.";
/// The attribute of a directory that hides the layers below it.
const OPAQUE: &str = "trusted.overlay.opaque";
/// The longest value that setxattr(2) takes.
const VALUE_LIMIT: usize = 64 * 1024;

/// Reads a node's extended attributes, symbolic links not followed.
///
/// # Errors
/// What llistxattr(2) or lgetxattr(2) fails with; a file system without attributes has none.
pub(crate) fn read_attributes(path: &Path) -> io::Result<Vec<Attribute>> {
    let mut names = vec![0_u8; 512];
    let length = loop {
        match llistxattr(path, &mut names) {
            Ok(length) => break length,
            Err(Errno::RANGE) if names.len() < VALUE_LIMIT => names.resize(names.len() * 4, 0),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    };
    let mut attributes = Vec::new();
    let own = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in own.filter(|name| !name.starts_with(OVERLAY)) {
        let mut value = vec![0_u8; VALUE_LIMIT];
        let length = lgetxattr(path, CString::new(name)?.as_c_str(), &mut value)?;
        value.truncate(length);
        attributes.push((name.to_owned(), value));
    }
    attributes.sort();
    Ok(attributes)
}

/// Writes a node's extended attributes; those that the file system cannot hold are left out.
///
/// # Errors
/// What lsetxattr(2) fails with.
pub(super) fn write_attributes(path: &Path, attributes: &[Attribute]) -> io::Result<()> {
    for (name, value) in attributes {
        if name.starts_with(OVERLAY) {
            continue;
        }
        match lsetxattr(path, CString::new(name.as_slice())?.as_c_str(), value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a layer's directory hides what the layers below have under its name.
pub(super) fn is_opaque(path: &Path) -> bool {
    let mut value = [0_u8; 2];
    matches!(lgetxattr(path, OPAQUE, &mut value), Ok(1)) && value[0] == b'y'
}

/// Has a directory hide what the layers below have under its name.
///
/// # Errors
/// What lsetxattr(2) fails with.
pub(super) fn make_opaque(path: &Path) -> io::Result<()> {
    Ok(lsetxattr(path, OPAQUE, b"y", XattrFlags::empty())?)
}
