//! Records where a run ends in a container's log, for the followers of that run: the next run writes into
//! the same files.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use shim_protocol::log::Position;

/// The followers of the log of one container.
#[derive(Default)]
pub(crate) struct LogFollowers(Mutex<Vec<LogFollower>>);

struct LogFollower {
    /// How often the container had ended when its run began.
    exits: u64,
    end: Weak<OnceLock<Position>>,
}

impl LogFollowers {
    /// Adds a follower of the run before which the container had ended so often; returns where the end will be.
    pub(crate) fn add(&self, exits: u64) -> Arc<OnceLock<Position>> {
        let end = Arc::default();
        let mut followers = self.lock();
        followers.retain(|follower| follower.end.strong_count() > 0);
        followers.push(LogFollower { exits, end: Arc::downgrade(&end) });
        end
    }

    /// Whether there can be followers.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Records that the run which follows so many exits is over, and the next has not begun: the log at `path` ends here
    /// for its followers. If that cannot be found, each searches the end itself.
    pub(crate) fn end(&self, exits: u64, path: &Path) {
        let end = Position::end_of(path);
        for follower in self.lock().extract_if(.., |follower| follower.exits <= exits) {
            if let (Ok(end), Some(cell), true) = (&end, follower.end.upgrade(), follower.exits == exits) {
                let _ = cell.set(*end);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LogFollower>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_learn_where_the_log_ends_with_their_run() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        std::fs::write(&path, "first\n").expect("a log");
        let followers = LogFollowers::default();
        let (first, second) = (followers.add(0), followers.add(1));
        drop(followers.add(0));
        let expected = Position::end_of(&path).expect("its end");
        followers.end(0, &path);
        std::fs::write(&path, "first\nsecond\n").expect("a log");
        assert_eq!((first.get(), second.get()), (Some(&expected), None));
        followers.end(1, &path);
        assert_eq!(first.get(), Some(&expected));
        assert_eq!(second.get(), Some(&Position::end_of(&path).expect("its end")));
        assert!(followers.is_empty());
    }
}
