//! Limits how long a client that stops sending an archive keeps other requests from the container.
//!
//! A write into a container that does not run holds its lock. While no other request waits for the lock, a
//! client may take its time. While one does, the time spent waiting for the client is added up and limited.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::container::Transition;

/// How long others wait altogether for a client that sends slowly.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often the waits are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// An archive as it arrives; records whether its reader waits for the client.
pub(super) struct ArrivingArchive {
    archive: Box<dyn Read + Send>,
    is_awaited: Arc<AtomicBool>,
}

/// Whether an [`ArrivingArchive`] has to be waited for.
pub(super) struct Arrival(Arc<AtomicBool>);

/// Lets others observe the waits for this archive.
pub(super) fn observed(archive: Box<dyn Read + Send>) -> (ArrivingArchive, Arrival) {
    let is_awaited = Arc::new(AtomicBool::new(false));
    (ArrivingArchive { archive, is_awaited: Arc::clone(&is_awaited) }, Arrival(is_awaited))
}

impl Read for ArrivingArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_awaited.store(true, Ordering::Relaxed);
        let read = self.archive.read(buffer);
        self.is_awaited.store(false, Ordering::Relaxed);
        read
    }
}

impl Arrival {
    /// Ends when others have waited too long for this container because of the client.
    pub(super) async fn exhausted(&self, transition: &Transition) {
        let mut left = TIMEOUT;
        while !left.is_zero() {
            tokio::time::sleep(POLL_INTERVAL).await;
            if transition.has_waiters() && self.0.load(Ordering::Relaxed) {
                left = left.saturating_sub(POLL_INTERVAL);
            }
        }
    }
}
