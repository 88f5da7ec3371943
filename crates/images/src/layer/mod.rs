//! One layer: a directory for overlay, and what is needed to give its tar back byte for byte.
//!
//! ```text
//! layers/<key>/diff/       the files, whiteouts in overlay's form
//! layers/<key>/assembly    zstd: every byte of the tar that is not a file's content, and where those are
//! layers/<key>/replaced/   contents that a later entry of the same tar replaced, if any
//! ```
//!
//! A layer may have a base: another layer, which lends it the files that its own directory does not have.

mod hash;
mod intake;
mod pack;
mod places;
mod prefix;
mod replay;
mod sparse;

use hash::HashingChunks;
pub(crate) use hash::HashingWriter;
pub(crate) use intake::take;
pub(crate) use pack::{Packed, pack, pack_known, pack_tar, prepare};
pub(crate) use places::{ASSEMBLY, DIFF, REPLACED};
pub use prefix::HashedPrefixes;
pub(crate) use replay::replay;
