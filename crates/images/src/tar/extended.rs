//! How much the extended headers of all archives that are being read hold in memory together.
//!
//! A client may announce a long header and never send its end, over as many connections as it can open.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ArchiveError;

/// Headers up to this size are not counted: those of honest archives hardly ever are longer.
const SMALL: u64 = 16 << 10;
/// As much as the long ones may hold together.
const LIMIT: u64 = 32 << 20;

static HELD: AtomicU64 = AtomicU64::new(0);

/// What one archive's reader has counted; given back when its next entry begins or it ends.
#[derive(Debug, Default)]
pub(super) struct Held(u64);

impl Held {
    /// Counts a header of this size.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`] when all archives together hold too much.
    pub(super) fn take(&mut self, size: u64) -> Result<(), ArchiveError> {
        if size <= SMALL {
            return Ok(());
        }
        self.0 += size;
        if HELD.fetch_add(size, Ordering::Relaxed) + size > LIMIT {
            let what = "bytes in the extended headers of all archives that are being read";
            return Err(ArchiveError::Limit { what, limit: LIMIT });
        }
        Ok(())
    }

    /// Gives back what was counted.
    pub(super) fn release(&mut self) {
        HELD.fetch_sub(std::mem::take(&mut self.0), Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_headers_of_many_archives_are_bounded_and_given_back() {
        let mut readers: Vec<Held> = (0..64).map(|_| Held::default()).collect();
        let taken = readers.iter_mut().filter_map(|held| held.take(1 << 20).ok()).count();
        assert!((1..=32).contains(&taken), "{taken}");
        assert!(Held::default().take(SMALL).is_ok(), "short ones are always read");
        readers.iter_mut().for_each(Held::release);
        assert!(readers[0].take(1 << 20).is_ok());
        drop(readers);
        assert!(Held::default().take(1 << 20).is_ok());
    }
}
