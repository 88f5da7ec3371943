//! Makes layers survive a loss of power, and finds those that did not.
//!
//! A layer is recorded as soon as it is whole in memory, with the machine's boot id beside it.
//! Before an image gets a name everything unwritten goes to disk, see `write_out`. Steps of a build
//! thus cost no disk. What was recorded under another boot id and never settled may be torn: its tar is
//! made again and compared with its digest, and images of damaged layers are taken away.

use std::io;
use std::path::{Path, PathBuf};

use model::Digest;

use super::database::durably;
use super::{LayerKey, Shared, Store, write_out};
use crate::Error;
use crate::layer::{self, HashingWriter};

/// The machine's boot id (proc_sys_kernel(5), random/boot_id).
pub(super) fn boot() -> Result<String, Error> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let id = sys::bounded_read::read_on_host(path, 64).map_err(Error::file("read", path))?;
    Ok(String::from_utf8_lossy(&id).trim_end().to_owned())
}

impl Store {
    /// Writes everything to disk that a loss of power could still take. Naming an image does it
    /// too.
    ///
    /// # Errors
    /// `Internal` when the disk fails.
    pub fn settle(&self) -> Result<(), Error> {
        self.shared.settle()
    }

    /// Looks at layers that were not written out when the machine went down.
    pub(super) fn check_unsettled(&self) -> Result<(), Error> {
        let unsettled = self.shared.unsettled();
        if unsettled.is_empty() || self.same_boot()? {
            return Ok(());
        }
        for key in unsettled {
            let expected = self.index().layers.get(&key).map(|layer| layer.diff_id);
            let actual = self.shared.hash_layer(&key);
            if expected.is_some() && actual.as_ref().ok() == expected.as_ref() {
                continue;
            }
            tracing::warn!(layer = %key, "a layer was damaged when the machine went down: its images are removed");
            let images: Vec<Digest> = {
                let index = self.index();
                let damaged = index.images.values().filter(|image| image.layers.contains(&key));
                damaged.map(|image| image.id).collect()
            };
            self.remove_damaged(&images)?;
        }
        self.shared.settle()
    }

    fn same_boot(&self) -> Result<bool, Error> {
        let query = "SELECT COUNT(*) FROM layers WHERE boot IS NOT NULL AND boot <> ?";
        let others: i64 = self
            .shared
            .database()
            .query_row(query, [&self.shared.boot], |row| row.get(0))
            .map_err(Error::database("look for layers of another boot"))?;
        Ok(others == 0)
    }
}

impl Shared {
    pub(super) fn settle(&self) -> Result<(), Error> {
        // Who waits here finds its layers settled by the one before.
        let _settling = self.settling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let unsettled = self.unsettled();
        if unsettled.is_empty() {
            return Ok(());
        }
        let paths: Vec<PathBuf> = unsettled.iter().map(|key| self.layer_path(key)).collect();
        write_out::layers(&self.root_descriptor, &self.root.join("layers"), &paths)
            .map_err(Error::file("write to disk what is in", &self.root))?;
        let mut database = self.database();
        let settled = durably(&mut database, |connection| {
            let transaction = connection.transaction()?;
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

    fn hash_layer(&self, key: &str) -> io::Result<Digest> {
        let mut hash = HashingWriter::new(io::sink())?;
        layer::replay(&self.layer_path(key), &mut hash)?;
        hash.finish().map(|(digest, _)| digest)
    }
}
