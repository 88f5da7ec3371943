//! Layers that are being downloaded: two pulls never fetch the same one at the same time.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use model::Digest;

use super::Cancellation;

/// How soon a waiting pull notices its cancellation.
const NOTICE: Duration = Duration::from_millis(100);

/// A download that was not touched for so long is not resumed any more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// The digests that somebody downloads.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    busy: Mutex<HashSet<Digest>>,
    changed: Condvar,
}

/// The right to download one layer.
pub(super) struct Turn<'a> {
    in_flight: &'a InFlight,
    digest: Digest,
}

impl InFlight {
    /// Takes the turn for a layer; `None` when somebody else has it.
    pub(super) fn try_take(&self, digest: Digest) -> Option<Turn<'_>> {
        let free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        // Made only when it is ours: dropping it gives the turn away.
        free.then(|| Turn { in_flight: self, digest })
    }

    /// Removes downloads that nobody has taken up for long.
    pub(super) fn sweep(&self, directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.flatten() {
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| Digest::parse_hexadecimal(name).ok());
            let age =
                entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
            let forgotten = digest.is_some_and(|digest| !busy.contains(&digest))
                && age.is_some_and(|age| age > FORGOTTEN);
            if forgotten && let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::debug!(path = %entry.path().display(), %error, "an old download cannot be removed");
            }
        }
    }

    /// Waits for the turn; `None` when the work is cancelled first.
    pub(super) fn take(&self, digest: Digest, cancellation: &Cancellation) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while !busy.insert(digest) {
            if cancellation.is_cancelled() {
                return None;
            }
            busy = self.changed.wait_timeout(busy, NOTICE).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(Turn { in_flight: self, digest })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.in_flight.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
        self.in_flight.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_turn_is_had_by_one() {
        let in_flight = InFlight::default();
        let digest = Digest::from_bytes([1; 32]);
        let turn = in_flight.try_take(digest).unwrap();
        assert!(in_flight.try_take(digest).is_none());
        assert!(in_flight.try_take(digest).is_none(), "a refused turn does not free it");
        let cancelled = Cancellation::new();
        cancelled.cancel();
        assert!(in_flight.take(digest, &cancelled).is_none());
        drop(turn);
        assert!(in_flight.try_take(digest).is_some());
    }

    #[test]
    fn old_downloads_are_forgotten() {
        let directory = std::env::temp_dir().join(format!("berth-in-flight-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let digests = [1, 2, 3].map(|byte| Digest::from_bytes([byte; 32]));
        let old = FileTimes::new().set_modified(SystemTime::now() - FORGOTTEN - Duration::from_secs(60));
        for digest in &digests[..2] {
            File::create(directory.join(digest.hexadecimal())).unwrap().set_times(old).unwrap();
        }
        File::create(directory.join(digests[2].hexadecimal())).unwrap();
        File::create(directory.join("other")).unwrap().set_times(old).unwrap();
        let in_flight = InFlight::default();
        let _turn = in_flight.try_take(digests[0]);
        in_flight.sweep(&directory);
        let left = |name: &str| directory.join(name).exists();
        assert!(left(&digests[0].hexadecimal()), "it is being downloaded");
        assert!(!left(&digests[1].hexadecimal()));
        assert!(left(&digests[2].hexadecimal()) && left("other"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
