//! Whiteouts: `.wh.` names of archives become overlay's marks (overlayfs documentation,
//! "whiteouts and opaque directories").

use super::destination::split;
use crate::whiteout::{OPAQUE_NAME, PREFIX};

/// Names that AUFS kept for itself.
const RESERVED: &[u8] = b".wh..wh.";

/// The directory in which AUFS kept files with several names: hard links of the layer lead into it.
pub(super) const AUFS_LINKS: &[u8] = b".wh..wh.plnk";

/// The effect of a whiteout.
pub(super) enum Whiteout {
    /// Everything that the layers below have in its directory.
    Directory,
    /// One name of the layers below.
    Name(Vec<u8>),
    /// Nothing: a file that AUFS used.
    Nothing,
    /// Nothing: it has the content of files that are linked to it.
    AufsLink,
}

/// Recognises a whiteout by the last component of its path.
pub(super) fn parse(path: &[u8]) -> Option<Whiteout> {
    let (parent, name) = split(path);
    if parent == AUFS_LINKS {
        return Some(Whiteout::AufsLink);
    }
    // Hard links of AUFS lay in a directory `.wh..wh.plnk`.
    if path.split(|byte| *byte == b'/').any(|part| part.starts_with(RESERVED) && part != OPAQUE_NAME) {
        return Some(Whiteout::Nothing);
    }
    if name == OPAQUE_NAME {
        return Some(Whiteout::Directory);
    }
    let hidden = name.strip_prefix(PREFIX)?;
    // Hiding "nothing", itself or its parent is meaningless: such names hide nothing.
    Some(match hidden {
        b"" | b"." | b".." => Whiteout::Nothing,
        _ => Whiteout::Name(hidden.to_vec()),
    })
}
