//! Deletes what an earlier process left half done: nothing unrecorded stays.

use std::fs;
use std::path::Path;

use super::{LayerKey, Store};
use crate::{Error, tree};

impl Store {
    /// Empties `temporary/`, and removes layers that are not recorded or that no image needs, and records of
    /// layers without files; where rows cannot be read, does only the first.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let temporary = self.shared.root.join("temporary");
        for name in names(&temporary)? {
            remove(&temporary.join(name))?;
        }
        if self.index().rows_left_out > 0 {
            tracing::error!(
                "layers that no image needs are kept: not all rows of the image store can be read"
            );
            return Ok(());
        }
        let database = self.shared.database();
        loop {
            let unneeded: Vec<LayerKey> = {
                let index = self.index();
                let layers = index.layers.iter().filter(|(_, layer)| layer.references == 0);
                layers.map(|(key, _)| key.clone()).collect()
            };
            // With a layer its base may have become unneeded.
            if unneeded.is_empty() {
                break;
            }
            for key in unneeded {
                database
                    .execute("DELETE FROM layers WHERE key = ?", [&*key])
                    .map_err(Error::database("sweep layers"))?;
                self.shared.index_mut().remove_layer(&key);
            }
        }
        database
            .execute(
                "DELETE FROM documents WHERE digest NOT IN (SELECT config FROM images)
                   AND digest NOT IN (SELECT legacy FROM images WHERE legacy IS NOT NULL)
                   AND digest NOT IN (SELECT digest FROM digests)
                   AND digest NOT IN (SELECT target FROM variants) AND digest NOT IN (SELECT manifest FROM variants)
                   AND digest NOT IN (SELECT document FROM attachments)",
                [],
            )
            .map_err(Error::database("sweep documents"))?;
        drop(database);
        let layers = self.shared.root.join("layers");
        for name in names(&layers)? {
            if !self.index().layers.contains_key(name.to_string_lossy().as_ref()) {
                remove(&layers.join(name))?;
            }
        }
        Ok(())
    }
}

fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    let failed = || Error::file("list", directory);
    let entries = fs::read_dir(directory).map_err(failed())?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed())).collect()
}

fn remove(path: &Path) -> Result<(), Error> {
    tree::remove(path).map_err(Error::file("sweep", path))
}
