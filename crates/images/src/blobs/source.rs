//! A source of blobs in another store.

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
    /// Opens a blob. The reader verifies its content, the source its size: reading one of another size fails.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    fn open(&self, digest: &Digest, size: BlobSize) -> io::Result<Box<dyn Read + Send>>;
}
