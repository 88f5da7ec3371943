//! Protects from decompression bombs: limits how much a compressed stream may become.
//!
//! A stream may become as much as the allowance, however small it is, and beyond that a fixed multiple
//! of what came. Streams within a stream (the compressed layers of a compressed tarball, all layers of
//! one image) share a budget: what came is counted where it arrives, what it became at every decoder.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tar::ArchiveError;

/// What a stream may become regardless of its own size: 10 GiB.
pub(crate) const DEFAULT_ALLOWANCE: u64 = 10 << 30;

/// What a stream may become for each byte of its own beyond the allowance. Text and programs shrink
/// 3 to 20 times; gzip makes zeros, the best case, 1030 times shorter (zlib's manual).
const RATIO: u64 = 250;

/// How much compressed streams that belong together may become.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    counts: Arc<Counts>,
    allowance: u64,
}

#[derive(Debug, Default)]
struct Counts {
    came: AtomicU64,
    became: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(DEFAULT_ALLOWANCE)
    }
}

impl Budget {
    /// A budget of which nothing is spent.
    pub(crate) fn new(allowance: u64) -> Self {
        Self { counts: Arc::default(), allowance }
    }

    /// Counts what comes from outside.
    pub(crate) fn source<R>(&self, reader: R) -> Source<R> {
        Source { reader, budget: self.clone() }
    }

    /// Counts what a decoder makes of it, and stops it when it is too much.
    pub(crate) fn spender<R>(&self, decoder: R) -> Spender<R> {
        Spender { decoder, budget: self.clone() }
    }

    fn spend(&self, bytes: usize) -> Result<(), ArchiveError> {
        let became = self.counts.became.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let came = self.counts.came.load(Ordering::Relaxed);
        if became > self.allowance.saturating_add(came.saturating_mul(RATIO)) {
            return Err(ArchiveError::Bomb { came, became, allowance: self.allowance, ratio: RATIO });
        }
        Ok(())
    }
}

/// A stream as it comes from outside.
pub(crate) struct Source<R> {
    reader: R,
    budget: Budget,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.budget.counts.came.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A decoder whose output is counted.
pub(crate) struct Spender<R> {
    decoder: R,
    budget: Budget,
}

impl<R: Read> Read for Spender<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.budget.spend(count).map_err(io::Error::other)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &Budget, came: u64, became: u64) -> Result<(), ArchiveError> {
        io::copy(&mut budget.source(io::repeat(0).take(came)), &mut io::sink()).expect("memory");
        let copied = io::copy(&mut budget.spender(io::repeat(0).take(became)), &mut io::sink());
        copied.map(drop).map_err(crate::tar::input_error)
    }

    #[test]
    fn a_stream_may_become_its_allowance_and_a_multiple_of_itself() {
        spend(&Budget::new(1 << 20), 1, 1 << 20).expect("the allowance");
        spend(&Budget::new(0), 10_000, 10_000 * RATIO).expect("the multiple");
        for (allowance, came, became) in
            [(1 << 20, 1, (1 << 20) + RATIO + 1), (0, 10_000, 10_000 * RATIO + 1)]
        {
            let error = spend(&Budget::new(allowance), came, became).expect_err("too much");
            assert!(matches!(error, ArchiveError::Bomb { .. }), "{error}");
        }
    }

    #[test]
    fn streams_that_belong_together_share_it() {
        let budget = Budget::new(1 << 20);
        spend(&budget.clone(), 1, 1 << 19).expect("a half");
        spend(&budget.clone(), 1, 1 << 19).expect("the other half");
        let _ = spend(&budget, 1, 1 << 19).expect_err("more than the whole");
    }
}
