//! Whiteouts: `.wh.` names of archives become overlay's marks (overlayfs documentation,
//! "whiteouts and opaque directories").

use super::Unpacking;
use super::destination::split;
use crate::tar::ArchiveError;
use crate::whiteout::{OPAQUE_NAME, PREFIX};

/// Names that AUFS kept for itself.
const RESERVED: &[u8] = b".wh..wh.";

/// What a whiteout hides.
pub(super) enum Whiteout {
    /// Everything that the layers below have in its directory.
    Directory,
    /// One name of the layers below.
    Name(Vec<u8>),
    /// Nothing: a file that AUFS used.
    Nothing,
}

/// Recognises a whiteout by the last component of its path.
pub(super) fn parse(path: &[u8]) -> Option<Whiteout> {
    let (_, name) = split(path);
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

impl Unpacking<'_> {
    pub(super) fn whiteout(&mut self, path: &[u8], whiteout: Whiteout) -> Result<(), ArchiveError> {
        let (parent, _) = split(path);
        match whiteout {
            Whiteout::Nothing => Ok(()),
            Whiteout::Directory => self.destination.set_opaque(parent),
            Whiteout::Name(name) => {
                let hidden = if parent.is_empty() { name } else { [parent, b"/", name.as_slice()].concat() };
                self.destination.hide(&hidden)
            }
        }
    }
}
