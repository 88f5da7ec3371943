//! Memory that peers make the process hold: one budget for all of them together, so that many unfinished requests
//! cannot take the host's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that all holders of reservations may have together.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
    /// Bytes of each reservation that are not counted, so that small ones are served however full the budget is.
    free: usize,
}

impl Budget {
    /// A budget of so many bytes, and the bytes of each reservation that it does not count.
    #[must_use]
    pub const fn new(bytes: usize, free: usize) -> Self {
        Self { left: AtomicUsize::new(bytes), free }
    }
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what strangers make the process hold is all it may")]
pub struct Exhausted;

/// One holder's share of a budget; dropping it returns all.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    taken: usize,
    size: usize,
}

impl Reservation {
    /// Holds nothing yet.
    #[must_use]
    pub const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, taken: 0, size: 0 }
    }

    /// The bytes that it stands for.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Reserves what so many bytes need; it never shrinks.
    ///
    /// # Errors
    /// [`Exhausted`] when less is left; what was reserved before stays so.
    pub fn raise_to(&mut self, size: usize) -> Result<(), Exhausted> {
        let counted = size.saturating_sub(self.budget.free);
        if let Some(more) = counted.checked_sub(self.taken) {
            let take = |left: usize| left.checked_sub(more);
            self.budget
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .map_err(|_| Exhausted)?;
            self.taken = counted;
        }
        self.size = self.size.max(size);
        Ok(())
    }

    /// Reserves so many bytes more.
    ///
    /// # Errors
    /// As [`Reservation::raise_to`].
    pub fn add(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.raise_to(self.size.saturating_add(bytes))
    }

    /// Gives all back.
    pub fn release(&mut self) {
        self.budget.left.fetch_add(std::mem::take(&mut self.taken), Ordering::Relaxed);
        self.size = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_takes_what_it_needs_and_gives_it_back() {
        let free = 4096;
        let budget = Arc::new(Budget::new(1000, free));
        let mut first = Reservation::new(Arc::clone(&budget));
        assert_eq!(first.raise_to(free + 700), Ok(()));
        assert_eq!(first.raise_to(free + 600), Ok(()), "less than it holds");
        let mut second = Reservation::new(Arc::clone(&budget));
        assert_eq!(second.raise_to(free), Ok(()), "small ones are not counted");
        assert_eq!(second.add(301), Err(Exhausted));
        assert_eq!(second.add(300), Ok(()));
        first.release();
        assert_eq!(first.size(), 0);
        assert_eq!(second.add(700), Ok(()));
        drop((first, second));
        assert_eq!(budget.left.load(Ordering::Relaxed), 1000);
    }
}
