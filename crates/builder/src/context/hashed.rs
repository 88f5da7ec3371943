//! Streams that are hashed as they are read.

use std::io::{self, Read};

use model::Digest;
use sha2::{Digest as _, Sha256};

/// What may follow the end of an archive and is hashed with it: tools fill it up to blocks.
const REST_LIMIT: u64 = 16 << 20;

/// A stream that is hashed as it is read.
pub(super) struct Hashed<R> {
    stream: R,
    state: Sha256,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, state: Sha256::new() }
    }

    /// Reads the rest and gives the digest of all; `None` for a rest without end.
    ///
    /// # Errors
    /// What reading fails with.
    pub(super) fn finish(&mut self) -> io::Result<Option<Digest>> {
        let rest = io::copy(&mut self.take(REST_LIMIT), &mut io::sink())?;
        let digest = Digest::from_bytes(self.state.finalize_reset().into());
        Ok((rest < REST_LIMIT).then_some(digest))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.state.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use images::digest_of;

    use super::*;

    #[test]
    fn what_is_left_counts_as_far_as_it_ends() {
        let mut hashed = Hashed::new(&b"abc"[..]);
        hashed.read_exact(&mut [0; 1]).expect("a byte");
        assert_eq!(hashed.finish().expect("a stream"), Some(digest_of(b"abc")));
        assert_eq!(Hashed::new(io::repeat(0)).finish().expect("a stream"), None);
    }
}
