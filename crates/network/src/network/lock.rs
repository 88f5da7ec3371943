//! Locks that a thread which panicked has left.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what a thread that panicked left is whole, since every change of it is one step.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
