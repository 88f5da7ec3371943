//! The memory of all archives that are being read, limited together.
//!
//! A client may begin an archive and never send its end, over as many connections as it can open: each then has
//! buffers, the window of its decoder, and whatever is kept of it until its end.

use std::sync::{Arc, LazyLock};

use sys::memory_budget::{Budget, Reservation};

use crate::tar::ArchiveError;

/// All archives together: the largest window that a stream may require (64 MiB), and the buffers that read
/// it.
const LIMIT: usize = 80 << 20;

static ARCHIVES: LazyLock<Arc<Budget>> = LazyLock::new(|| Arc::new(Budget::new(LIMIT, 0)));

/// One reader's share of the memory; dropping it returns all.
#[derive(Debug)]
pub(crate) struct Share(Reservation);

impl Default for Share {
    fn default() -> Self {
        Self(Reservation::new(Arc::clone(&ARCHIVES)))
    }
}

impl Share {
    /// A share that holds so much.
    ///
    /// # Errors
    /// As [`Share::take`].
    pub(crate) fn of(bytes: usize) -> Result<Self, ArchiveError> {
        let mut share = Self::default();
        share.take(bytes)?;
        Ok(share)
    }

    /// Takes so many bytes more, before they are used.
    ///
    /// # Errors
    /// [`ArchiveError::Busy`] when all archives together hold too much.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        self.0.add(bytes).map_err(|_| ArchiveError::Busy)
    }

    /// Holds so much, or what it holds already if that is more.
    ///
    /// # Errors
    /// As [`Share::take`].
    pub(crate) fn raise_to(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        self.0.raise_to(bytes).map_err(|_| ArchiveError::Busy)
    }

    /// Gives all back.
    pub(crate) fn release(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_share_one_limit() {
        let mut shares: Vec<Share> = (0..160).map(|_| Share::default()).collect();
        let taken = shares.iter_mut().filter_map(|share| share.take(1 << 20).ok()).count();
        assert!((1..=LIMIT >> 20).contains(&taken), "{taken}");
        assert!(matches!(Share::of(LIMIT), Err(ArchiveError::Busy)));
        shares.iter_mut().for_each(Share::release);
        assert!(shares[0].take(1 << 20).is_ok());
    }
}
