//! Layers that are being downloaded: two pulls never fetch the same one at the same time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Digest;

use super::Cancellation;
use super::progress::{Message, Progress};

/// How soon a waiting pull notices its cancellation.
const NOTICE: Duration = Duration::from_millis(100);

/// A download that was not touched for so long is not resumed any more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// The digests that are being downloaded, and the last message about each.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    busy: Mutex<HashMap<Digest, LastMessage>>,
    changed: Condvar,
}

type LastMessage = Arc<Mutex<Option<Message>>>;

/// The right to download one layer.
pub(super) struct Turn<'a> {
    in_flight: &'a InFlight,
    digest: Digest,
    last_message: LastMessage,
}

/// Reports to one client, and to all that wait for the same layer.
pub(super) struct Shared<'a> {
    progress: &'a dyn Progress,
    last_message: &'a LastMessage,
}

impl Progress for Shared<'_> {
    fn report(&self, message: Message) {
        *lock(self.last_message) = Some(message.clone());
        self.progress.report(message);
    }
}

impl Turn<'_> {
    /// A progress whose messages also go to those that wait for this turn.
    pub(super) fn shared<'p>(&'p self, progress: &'p dyn Progress) -> Shared<'p> {
        Shared { progress, last_message: &self.last_message }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InFlight {
    /// Takes the turn for a layer; `None` when it is taken.
    pub(super) fn try_take(&self, digest: Digest) -> Option<Turn<'_>> {
        self.turn(&mut lock(&self.busy), digest)
    }

    fn turn(&self, busy: &mut HashMap<Digest, LastMessage>, digest: Digest) -> Option<Turn<'_>> {
        if busy.contains_key(&digest) {
            return None;
        }
        let last_message = LastMessage::default();
        busy.insert(digest, Arc::clone(&last_message));
        // Made only when it is ours: dropping it gives the turn away.
        Some(Turn { in_flight: self, digest, last_message })
    }

    /// Removes downloads that were abandoned long ago.
    pub(super) fn sweep(&self, directory: &Path) {
        self.remove_older(directory, FORGOTTEN);
    }

    /// Removes downloads that broke off, however lately; returns their bytes.
    pub(super) fn clear(&self, directory: &Path) -> u64 {
        self.remove_older(directory, Duration::ZERO)
    }

    /// The bytes of downloads that broke off.
    pub(super) fn left(&self, directory: &Path) -> u64 {
        abandoned(&lock(&self.busy), directory, Duration::ZERO).iter().map(|(_, size)| size).sum()
    }

    fn remove_older(&self, directory: &Path, least: Duration) -> u64 {
        // No download is resumed meanwhile.
        let busy = lock(&self.busy);
        let mut freed = 0;
        for (path, size) in abandoned(&busy, directory, least) {
            match std::fs::remove_file(&path) {
                Ok(()) => freed += size,
                Err(error) => tracing::debug!(path = %path.display(), %error, "a download cannot be removed"),
            }
        }
        freed
    }

    /// Removes the downloads of these digests that are not in progress.
    pub(super) fn remove(&self, directory: &Path, digests: impl Iterator<Item = Digest>) {
        let busy = lock(&self.busy);
        for digest in digests.filter(|digest| !busy.contains_key(digest)) {
            let _ = std::fs::remove_file(directory.join(digest.hexadecimal()));
        }
    }

    /// Waits for the turn, and passes on the messages of its holder; `None` when the work is cancelled first.
    pub(super) fn take(
        &self,
        digest: Digest,
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Option<Turn<'_>> {
        let mut last = None;
        let mut busy = lock(&self.busy);
        loop {
            if let Some(turn) = self.turn(&mut busy, digest) {
                return Some(turn);
            }
            if cancellation.is_cancelled() {
                return None;
            }
            let last_message = busy.get(&digest).and_then(|last_message| lock(last_message).clone());
            if last_message != last {
                // A client may be slow to take it; no other client waits for that.
                drop(busy);
                last_message.iter().for_each(|message| progress.report(message.clone()));
                last = last_message;
                busy = lock(&self.busy);
                continue;
            }
            busy = self.changed.wait_timeout(busy, NOTICE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The downloads that are not in progress and that were not touched for so long, with their bytes.
fn abandoned(busy: &HashMap<Digest, LastMessage>, directory: &Path, least: Duration) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let of_entry = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let digest = Digest::parse_hexadecimal(name.to_str()?).ok()?;
        let metadata = entry.metadata().ok()?;
        let age = metadata.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
        let is_abandoned = age >= least && !busy.contains_key(&digest);
        is_abandoned.then(|| (entry.path(), metadata.len()))
    };
    entries.flatten().filter_map(of_entry).collect()
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.in_flight.busy).remove(&self.digest);
        self.in_flight.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::SystemTime;

    use super::*;
    use crate::registry::progress::Silent;

    #[test]
    fn a_turn_is_had_by_one() {
        let in_flight = InFlight::default();
        let digest = Digest::from_bytes([1; 32]);
        let turn = in_flight.try_take(digest).unwrap();
        assert!(in_flight.try_take(digest).is_none());
        assert!(in_flight.try_take(digest).is_none(), "a refused turn does not free it");
        let cancelled = Cancellation::new();
        cancelled.cancel();
        assert!(in_flight.take(digest, &Silent, &cancelled).is_none());
        drop(turn);
        assert!(in_flight.try_take(digest).is_some());
    }

    #[test]
    fn waiters_receive_the_messages() {
        let in_flight = InFlight::default();
        let digest = Digest::from_bytes([1; 32]);
        let turn = in_flight.try_take(digest).unwrap();
        let received = Mutex::new(Vec::new());
        let receive = |message: Message| lock(&received).push(message);
        turn.shared(&Silent).report(Message::amount("a", "Downloading", 5, 10));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| in_flight.take(digest, &receive, &Cancellation::new()).is_some());
            while lock(&received).is_empty() {
                std::thread::yield_now();
            }
            drop(turn);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(*lock(&received), [Message::amount("a", "Downloading", 5, 10)]);
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
