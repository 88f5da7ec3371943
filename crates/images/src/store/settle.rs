//! Makes records durable in the background, and finds those that did not survive a loss of power.
//!
//! ```text
//! a layer is recorded, with the machine's boot id ──► an image gets its name ──► the answer
//!                                                          │
//!         the layer's own files written out ◄── the thread
//!                    │
//!         the database's log written out ──► the boot id is taken away
//! ```
//!
//! No response waits for the disk, and so for what other programs have left unwritten. What a response acknowledged is whole
//! after a loss of power, or gone as a whole: the database returns to one of its commits, and a layer that still bears the id
//! of another boot is made again from its tar, whose digest is recorded. Where that fails, its images are removed.

use std::path::Path;
use std::sync::{Arc, Weak};

use model::Digest;

use super::handle::Shared;
use super::place::Place;
use super::settler::{Settler, SettlingDeferred};
use super::{LayerKey, Store, write_out};
use crate::Error;
use crate::layer;

/// The machine's boot id (proc_sys_kernel(5), random/boot_id).
pub(super) fn boot() -> Result<String, Error> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let id = sys::bounded_read::read_on_host(path, 64).map_err(Error::file("read", path))?;
    Ok(String::from_utf8_lossy(&id).trim_end().to_owned())
}

/// Runs requested rounds, until the store is closed.
fn run(settler: &Settler, shared: &Weak<Shared>) {
    while let Some(number) = settler.next() {
        let Some(shared) = shared.upgrade() else { return };
        let outcome = shared.write_out();
        drop(shared);
        match outcome {
            Ok(()) => settler.finish(number),
            Err(error) => {
                tracing::warn!(%error, "images are not yet safe from a loss of power");
                settler.pause();
            }
        }
    }
}

impl Store {
    /// Waits until everything recorded until now survives a loss of power. Answers do not wait for that.
    pub fn settle(&self) {
        let settler = &self.shared.settler;
        settler.wait(settler.request());
    }

    /// Has writing out pause for work that it would slow down, as long as the value exists.
    #[must_use]
    pub fn defer_settling(&self) -> SettlingDeferred {
        self.shared.settler.defer()
    }

    /// Starts the thread that writes out behind the answers, also what an earlier process left.
    pub(super) fn start_settler(&self) -> Result<(), Error> {
        let (settler, shared) = (Arc::clone(&self.shared.settler), Arc::downgrade(&self.shared));
        let thread = std::thread::Builder::new().name("settle".to_owned());
        thread
            .spawn(move || run(&settler, &shared))
            .map_err(Error::file("start a thread for", &self.shared.root))?;
        // Behind the start of the engine, as behind other work that it would slow down.
        drop(self.defer_settling());
        self.shared.settle_soon();
        Ok(())
    }

    /// Checks layers that were not written out when the machine went down.
    pub(super) fn check_unsettled(&self) -> Result<(), Error> {
        for key in self.layers_of_another_boot()? {
            let expected = self.index().layers.get(&key).map(|layer| layer.diff_id);
            let Some(expected) = expected else { continue };
            match self.remake(&key, expected) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::debug!(layer = %key, %error, "a layer cannot be made again"),
            }
            tracing::warn!(layer = %key, "a layer was damaged when the machine went down: its images are removed");
            let images: Vec<Digest> = {
                let index = self.index();
                let damaged = index.images.values().filter(|image| image.layers.contains(&key));
                damaged.map(|image| image.id).collect()
            };
            self.remove_damaged(&images)?;
            let mut index = self.index_mut();
            // What is not swept must not be taken for a whole one either.
            if index.rows_left_out > 0 {
                index.remove_layer(&key);
            }
        }
        Ok(())
    }

    fn layers_of_another_boot(&self) -> Result<Vec<LayerKey>, Error> {
        let failed = || Error::database("look for layers of another boot");
        let database = self.shared.database();
        let mut statement = database
            .prepare("SELECT key FROM layers WHERE boot IS NOT NULL AND boot <> ?")
            .map_err(failed())?;
        let keys =
            statement.query_map([&self.shared.boot], |row| row.get::<_, String>(0)).map_err(failed())?;
        keys.map(|key| key.map(Into::into).map_err(failed())).collect()
    }

    /// Makes a layer again from its tar, whose every byte is hashed; returns whether the hash matches. Its files are
    /// made in another directory first, which then replaces the old one.
    fn remake(&self, key: &LayerKey, expected: Digest) -> Result<bool, Error> {
        let old = self.shared.layer_path(key);
        let place = Place::new(&self.shared.root)?;
        let (reader, writer) = std::io::pipe().map_err(Error::file("make a pipe for", &old))?;
        let taken = std::thread::scope(|scope| {
            let (source, base) = (old.clone(), self.shared.base_path(key));
            let replay = scope.spawn(move || {
                let mut writer = writer;
                layer::replay(&source, base.as_deref(), &mut writer)
            });
            let taken = layer::take(reader, &self.budget(), &place.path);
            // A record that breaks off gives a tar of another digest.
            drop(replay.join());
            taken
        })?;
        if taken.diff_id != expected {
            return Ok(false);
        }
        for entry in std::fs::read_dir(&old).map_err(Error::file("list", &old))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("blob-") {
                let target = place.path.join(entry.file_name());
                std::fs::rename(entry.path(), target).map_err(Error::file("move a blob of", &old))?;
            }
        }
        let exchange = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, &place.path, rustix::fs::CWD, &old, exchange)
            .map_err(|error| Error::file("exchange", &old)(error.into()))?;
        let database = self.shared.database();
        // It has all its files itself now.
        let recorded = database.execute("DELETE FROM layer_bases WHERE layer = ?", [&**key]).and_then(|_| {
            let boot = &self.shared.boot;
            database.execute("UPDATE layers SET boot = ? WHERE key = ?", (boot, &**key))
        });
        recorded.map_err(Error::database("record a layer"))?;
        drop(database);
        self.index_mut().forget_base(key);
        // The layer is whole without them.
        if let Err(error) = self.shared.check_kept_blobs(key) {
            tracing::warn!(%error, layer = %key, "cannot check the blobs that are kept beside a layer");
        }
        Ok(true)
    }
}

impl Shared {
    /// Lets what is recorded be written out behind the answer.
    pub(super) fn settle_soon(&self) {
        self.settler.request();
    }

    /// Writes out the layers that a loss of power could still take, and what is recorded.
    fn write_out(&self) -> Result<(), Error> {
        let unsettled = self.unsettled();
        let layers = self.root.join("layers");
        for key in &unsettled {
            let path = self.layer_path(key);
            match write_out::layer(&self.root_descriptor, &path, &|| self.settler.give_way()) {
                // It was removed meanwhile.
                Err(_) if !self.index().layers.contains_key(key) => {}
                written => written.map_err(Error::file("write to disk what is in", &path))?,
            }
        }
        if !unsettled.is_empty() {
            write_out::file(&layers).map_err(Error::file("write to disk", &layers))?;
        }
        self.checkpoint.write_out()?;
        if unsettled.is_empty() {
            return Ok(());
        }
        // Not waited for: a layer that still bears its id is checked once more, that is all.
        let mut database = self.database();
        let settled = database.transaction().and_then(|transaction| {
            for key in &unsettled {
                transaction
                    .prepare_cached("UPDATE layers SET boot = NULL WHERE key = ?")?
                    .execute([&**key])?;
            }
            transaction.commit()
        });
        settled.map_err(Error::database("record what is on disk"))?;
        let mut index = self.index_mut();
        for key in &unsettled {
            if let Some(layer) = index.layers.get_mut(key) {
                layer.unsettled = false;
            }
        }
        Ok(())
    }

    fn unsettled(&self) -> Vec<LayerKey> {
        let index = self.index();
        index.layers.iter().filter(|(_, layer)| layer.unsettled).map(|(key, _)| key.clone()).collect()
    }
}
