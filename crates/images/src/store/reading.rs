//! Reads of the database that do not wait for writers: a writer may wait for the disk.

use std::ops::Deref;
use std::sync::{MutexGuard, PoisonError, TryLockError};

use rusqlite::{Connection, OpenFlags};

use super::handle::Shared;

/// The store's connection, or one for this read alone while that one changes something.
pub(super) enum Reading<'a> {
    Shared(MutexGuard<'a, Connection>),
    Own(Connection),
}

impl Shared {
    /// Gives a connection that reads what was committed until now. It waits where there is no descriptor for one more.
    pub(super) fn reading(&self) -> Reading<'_> {
        match self.database.try_lock() {
            Ok(connection) => Reading::Shared(connection),
            Err(TryLockError::Poisoned(poisoned)) => Reading::Shared(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(self.root.join("images.db"), flags);
                connection.map_or_else(|_| Reading::Shared(self.database()), Reading::Own)
            }
        }
    }
}

impl Deref for Reading<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Shared(connection) => connection,
            Self::Own(connection) => connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use crate::store::digest_of;
    use crate::{ImportOptions, Store};

    #[test]
    fn whoever_reads_does_not_wait_for_a_change() {
        let root = std::env::temp_dir().join(format!("berth-reading-{}", std::process::id()));
        let store = Store::open(&root).expect("a store");
        let image = store.import(&[0; 1024][..], &ImportOptions::default()).expect("an image");
        let content = store.document(&image.config_digest).expect("no failure").expect("its config");
        let change = store.begin_change();
        let (sender, receiver) = channel();
        let reading = std::thread::spawn({
            let store = store.clone();
            move || {
                store.shared.configs().0.clear();
                let shown = store.inspect(&image.id.to_string(), None).map(|details| details.image.id);
                let read = store.document(&image.config_digest).expect("no failure");
                let blobs = store.layer_blobs(&digest_of(b"")).map(|blobs| blobs.len());
                let layer = store.layer_of_blob(&digest_of(b"")).map(|layer| layer.is_none());
                let all = (shown.ok() == Some(image.id), read, blobs.ok(), layer.ok());
                sender.send(all).expect("the test");
            }
        });
        let read = receiver.recv_timeout(Duration::from_secs(60)).expect("an answer while the store changes");
        assert_eq!(read, (true, Some(content), Some(0), Some(true)));
        drop(change);
        reading.join().expect("no panic");
        drop(store);
        let _ = std::fs::remove_dir_all(&root);
    }
}
