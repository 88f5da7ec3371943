//! Ends the loops of a test's threads when the test ends, also by a failure: a scope waits for its threads.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it is dropped.
#[derive(Debug)]
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
