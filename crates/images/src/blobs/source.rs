//! Where blobs come from that somebody else keeps.

use std::io::{self, Read};

use model::Digest;

/// How many bytes a blob has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobSize {
    /// As a descriptor declares it.
    Exactly(u64),
    /// It is not declared.
    AtMost(u64),
}

/// Gives blobs out by their digests.
pub trait BlobSource {
    /// Opens a blob. Its content is verified by whoever reads it, its size by the source: reading one of another size fails.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn open(&self, digest: &Digest, size: BlobSize) -> io::Result<Box<dyn Read + Send>>;
}
