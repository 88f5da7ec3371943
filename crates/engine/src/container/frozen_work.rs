//! Counts the work that a container is frozen for, such as commits: the last one that ends thaws it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The work of one container. Changed under the container's `transition` lock alone.
#[derive(Default)]
pub(crate) struct FrozenWork(Mutex<Count>);

#[derive(Default)]
struct Count {
    /// The number of the last freeze for work.
    freeze: u64,
    /// How much work needs it still.
    works: usize,
}

/// One operation that needs the container frozen once: it does not thaw what froze the container later.
#[derive(Debug)]
#[must_use = "it must be ended, or the container stays frozen"]
pub(crate) struct Work {
    freeze: u64,
    /// Whether the container was frozen for it, and not for other work before.
    pub(crate) is_first: bool,
}

impl FrozenWork {
    /// The container has been frozen for this work.
    pub(crate) fn begin(&self) -> Work {
        let mut count = self.lock();
        *count = Count { freeze: count.freeze + 1, works: 1 };
        Work { freeze: count.freeze, is_first: true }
    }

    /// The container is frozen for other work already.
    pub(crate) fn join(&self) -> Work {
        let mut count = self.lock();
        count.works += 1;
        Work { freeze: count.freeze, is_first: false }
    }

    /// The work is done: whether no other work needs its freeze.
    pub(crate) fn end(&self, work: &Work) -> bool {
        let mut count = self.lock();
        if count.freeze != work.freeze {
            return false;
        }
        count.works = count.works.saturating_sub(1);
        count.works == 0
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_work_of_a_freeze_ends_it() {
        let work = FrozenWork::default();
        let (first, second) = (work.begin(), work.join());
        assert_eq!((first.is_first, second.is_first), (true, false));
        assert!(!work.end(&first));
        assert!(work.end(&second));
    }

    #[test]
    fn work_of_an_earlier_freeze_ends_no_later_one() {
        let work = FrozenWork::default();
        let earlier = work.begin();
        let later = work.begin();
        assert!(!work.end(&earlier));
        assert!(work.end(&later));
    }
}
