//! Wakes followers of log files when something is written: one inotify instance for all of them.
//!
//! A container's directory is watched, not its log: there the log's next file appears when it is rotated.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::readiness;

/// Space for many events at once: each has 16 bytes and a name.
const BUFFER: usize = 16 * 1024;

/// The number of a watch within the instance.
type Number = i32;

/// The shared inotify instance of all followers.
#[derive(Default)]
pub(crate) struct LogWakeups(OnceLock<Option<Arc<Instance>>>);

struct Instance {
    descriptor: AsyncFd<OwnedFd>,
    watches: Mutex<HashMap<Number, watch::Sender<()>>>,
}

/// Wakes one follower. It begins with what happens after it was made.
pub(crate) struct Wakeup {
    instance: Arc<Instance>,
    number: Number,
    changes: watch::Receiver<()>,
}

impl LogWakeups {
    /// Begins to watch a directory; `None` where the kernel has no watch left, which is logged once.
    pub(crate) fn of(&self, directory: &Path) -> Option<Wakeup> {
        let instance = self.0.get_or_init(|| Instance::open().inspect_err(complain).ok()).as_ref()?;
        instance.watch(directory).inspect_err(complain).ok()
    }
}

fn complain(error: &io::Error) {
    tracing::warn!("cannot watch a log, so its followers poll: {error}");
}

impl Instance {
    fn open() -> io::Result<Arc<Self>> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let descriptor = readiness::register(descriptor, Interest::READABLE)?;
        let instance = Arc::new(Self { descriptor, watches: Mutex::default() });
        let reading = Arc::clone(&instance);
        tokio::spawn(async move {
            let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
            while let Ok(mut ready) = reading.descriptor.readable().await {
                reading.take_events(&mut buffer);
                ready.clear_ready();
            }
        });
        Ok(instance)
    }

    /// The kernel has one watch for a directory, however many followers there are.
    fn watch(self: &Arc<Self>, directory: &Path) -> io::Result<Wakeup> {
        let mask = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let mut watches = self.lock();
        let number = inotify::add_watch(self.descriptor.get_ref(), directory, mask)?;
        let changes = watches.entry(number).or_insert_with(|| watch::Sender::new(())).subscribe();
        Ok(Wakeup { instance: Arc::clone(self), number, changes })
    }

    fn take_events(&self, buffer: &mut [MaybeUninit<u8>]) {
        let mut events = Reader::new(self.descriptor.get_ref(), buffer);
        loop {
            let (number, flags) = match events.next() {
                Ok(event) => (event.wd(), event.events()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            let mut watches = self.lock();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                // The kernel does not report which directories changed.
                watches.values().for_each(|changes| changes.send_replace(()));
            } else if flags.contains(ReadFlags::IGNORED) {
                // The directory is gone, and with it the watch: its followers are woken by the end.
                watches.remove(&number);
            } else if let Some(changes) = watches.get(&number) {
                changes.send_replace(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Number, watch::Sender<()>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wakeup {
    /// Waits until something was written since the last call returned; false when the log is gone.
    pub(crate) async fn wait(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        let mut watches = self.instance.lock();
        let is_last = watches.get(&self.number).is_some_and(|changes| changes.receiver_count() <= 1);
        if is_last && watches.remove(&self.number).is_some() {
            // One whose directory is gone is removed already.
            let _ = inotify::remove_watch(self.instance.descriptor.get_ref(), self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn followers_are_woken_by_writes_and_by_new_files() {
        let directory = std::env::temp_dir().join(format!("berth-wakeups-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let wakeups = LogWakeups::default();
        let mut first = wakeups.of(&directory).expect("a watch");
        let mut second = wakeups.of(&directory).expect("a watch");
        fs::write(directory.join("log"), "a line\n").expect("written");
        assert!(first.wait().await && second.wait().await);
        drop(first);
        fs::rename(directory.join("log"), directory.join("log.1")).expect("rotated");
        assert!(second.wait().await, "the other's watch has not gone with the first");
        let instance = Arc::clone(&second.instance);
        drop(second);
        assert!(instance.lock().is_empty(), "nothing is watched for nobody");
        fs::remove_dir_all(&directory).expect("removed");
    }
}
