//! The memory of unfinished requests: one budget for all connections, so that many clients that send heads and
//! bodies without ending them cannot take the host's memory together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of each request that are not counted, so that small requests are served however full the budget is.
const FREE: usize = 4 * 1024;

/// Bytes that all connections together may hold of heads and of bodies that are gathered in memory.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What one request holds of the budget; dropping it gives all back.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    taken: usize,
    size: usize,
}

impl Reservation {
    /// Holds nothing yet.
    pub(crate) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, taken: 0, size: 0 }
    }

    /// The bytes of the request so far.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Reserves what a request of so many bytes needs; it never shrinks.
    pub(crate) fn raise_to(&mut self, size: usize) -> Result<(), Exhausted> {
        let counted = size.saturating_sub(FREE);
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
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_takes_what_it_needs_and_gives_it_back() {
        let budget = Arc::new(Budget::new(1000));
        let mut first = Reservation::new(Arc::clone(&budget));
        assert_eq!(first.raise_to(FREE + 700), Ok(()));
        assert_eq!(first.raise_to(FREE + 600), Ok(()), "less than it holds");
        let mut second = Reservation::new(Arc::clone(&budget));
        assert_eq!(second.raise_to(FREE), Ok(()), "small requests are not counted");
        assert_eq!(second.raise_to(FREE + 301), Err(Exhausted));
        drop(first);
        assert_eq!(second.raise_to(FREE + 1000), Ok(()));
        drop(second);
        assert_eq!(budget.left.load(Ordering::Relaxed), 1000);
    }
}
