//! Works on several layers at once and stops all when one fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Cancellation;
use super::error::RegistryError;

/// Works on every item, with so many threads; the results stand in the items' order.
///
/// The first failure cancels `others`, so that threads that wait for the network give up too.
pub(super) fn for_each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    others: &Cancellation,
    work: impl Fn(&T) -> Result<R, RegistryError> + Sync,
) -> Result<Vec<R>, RegistryError> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let failure = Mutex::new(None);
    let run = || {
        while let Some(position) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|next| *next < items.len())
        {
            if others.is_cancelled() {
                keep_first(&failure, RegistryError::Cancelled);
                return;
            }
            match work(&items[position]) {
                Ok(result) => *lock(&results[position]) = Some(result),
                Err(error) => {
                    keep_first(&failure, error);
                    others.cancel();
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            let spawned = std::thread::Builder::new().name("registry".to_owned()).spawn_scoped(scope, run);
            if let Err(error) = spawned {
                // Fewer threads do the same work, later.
                tracing::debug!(%error, "cannot start a thread for a layer");
                break;
            }
        }
        run();
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let taken = results.into_iter().map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner));
    taken.collect::<Option<Vec<_>>>().ok_or(RegistryError::Cancelled)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the error that came first; being cancelled is only its echo.
fn keep_first(failure: &Mutex<Option<RegistryError>>, error: RegistryError) {
    let mut kept = lock(failure);
    if matches!(*kept, None | Some(RegistryError::Cancelled)) {
        *kept = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_order() {
        let items: Vec<u32> = (0..20).collect();
        let results = for_each(&items, 4, &Cancellation::new(), |item| Ok(item * 2)).unwrap();
        assert_eq!(results, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        let none: Vec<u32> = for_each(&[], 4, &Cancellation::new(), |item: &u32| Ok(*item)).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn the_first_failure_stops_the_rest() {
        let others = Cancellation::new();
        let outcome = for_each(&[0, 1, 2, 3, 4, 5], 2, &others, |item| {
            if *item == 1 {
                return Err(RegistryError::NoSuchRepository("x".to_owned()));
            }
            while !others.is_cancelled() {
                std::thread::yield_now();
            }
            Err::<(), _>(RegistryError::Cancelled)
        });
        assert!(matches!(outcome, Err(RegistryError::NoSuchRepository(_))));
    }
}
