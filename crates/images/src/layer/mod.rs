//! One layer: a directory for overlay, and what is needed to give its tar back byte for byte.
//!
//! ```text
//! layers/<key>/diff/       the files, whiteouts in overlay's form
//! layers/<key>/assembly    zstd: every byte of the tar that is not a file's content, and where those are
//! layers/<key>/replaced/   contents that a later entry of the same tar replaced, if any
//! ```

mod hash;
mod intake;
mod pack;
mod replay;

use hash::HashingChunks;
pub(crate) use hash::HashingWriter;
pub(crate) use intake::take;
pub(crate) use pack::{Packed, pack, pack_tar};
pub(crate) use replay::replay;

/// The name of a layer's files.
pub(crate) const DIFF: &str = "diff";
/// The name of the record that gives the tar back.
pub(crate) const ASSEMBLY: &str = "assembly";
/// The name of the directory of replaced contents.
pub(crate) const REPLACED: &str = "replaced";
