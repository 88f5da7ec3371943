//! Reads the index as the tables of `images.db` hold it. A row that cannot be read is left out, and what it is needed for with
//! it: the daemon opens all the same. It stays in the database, with the files of its layers.

use std::fmt::Display;
use std::sync::Arc;

use model::{Digest, Timestamp};
use rusqlite::{Connection, Row};

use super::LayerKey;
use super::index::{Base, ImageRecord, Index, LayerRecord};
use super::step_use::StepUse;
use super::stored::{Stored, digest, unsigned};
use super::target::{Target, Variant};
use crate::Error;

/// Reads the whole index.
///
/// # Errors
/// `Internal` when the database itself fails.
pub(super) fn load_index(connection: &Connection) -> Result<Index, Error> {
    let mut loading = Loading { connection, index: Index::default() };
    loading.all().map_err(Error::database("read the store"))?;
    Ok(loading.index)
}

struct Loading<'a> {
    connection: &'a Connection,
    index: Index,
}

impl Loading<'_> {
    fn all(&mut self) -> rusqlite::Result<()> {
        self.layers()?;
        self.images()?;
        self.names()?;
        self.targets()?;
        self.rows("foreign_images", "SELECT image FROM foreign_images", |index, row| {
            index.foreign.insert(digest(row, 0)?);
            Ok(())
        })?;
        self.rows("leaving", "SELECT image FROM leaving", |index, row| {
            index.leaving.insert(digest(row, 0)?);
            Ok(())
        })?;
        self.rows("build_steps", "SELECT image, used_seconds, uses FROM build_steps", |index, row| {
            let uses = StepUse { used: row.get(1)?, uses: unsigned(row, 2)? };
            index.steps.insert(digest(row, 0)?, uses);
            Ok(())
        })?;
        if self.index.rows_left_out > 0 {
            self.count_hidden_references()?;
        }
        Ok(())
    }

    /// Reads the rows of a table one by one.
    fn rows(
        &mut self,
        table: &str,
        query: &str,
        mut read: impl FnMut(&mut Index, &Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Err(error) = read(&mut self.index, row) {
                leave_out(&mut self.index, table, &error);
            }
        }
        Ok(())
    }

    fn layers(&mut self) -> rusqlite::Result<()> {
        let query = "SELECT key, diff_id, size, tar_size, boot IS NOT NULL,
            coalesce((SELECT CAST(sum(kept_blobs.size) AS INTEGER) FROM kept_blobs WHERE layer = key), 0) FROM layers";
        self.rows("layers", query, |index, row| {
            let key: LayerKey = Arc::from(row.get::<_, String>(0)?);
            let record = LayerRecord {
                diff_id: digest(row, 1)?,
                size: unsigned(row, 2)?,
                tar_size: unsigned(row, 3)?,
                base: None,
                kept: unsigned(row, 5)?,
                references: 0,
                leases: 0,
                doomed: false,
                unsettled: row.get(4)?,
            };
            index.layer_of.insert(record.diff_id, Arc::clone(&key));
            index.layers.insert(key, record);
            Ok(())
        })?;
        // A layer that borrows is of no use without the one that lends.
        let mut halves: Vec<LayerKey> = Vec::new();
        self.rows("layer_bases", "SELECT layer, base, shared FROM layer_bases", |index, row| {
            let key: String = row.get(0)?;
            let base: rusqlite::Result<(String, u64)> =
                row.get(1).and_then(|base| unsigned(row, 2).map(|shared| (base, shared)));
            let found = base.as_ref().ok().and_then(|(base, _)| index.layers.get_key_value(base.as_str()));
            let Some((base, shared)) = found.map(|(key, _)| Arc::clone(key)).zip(base.as_ref().ok()) else {
                halves.push(key.as_str().into());
                let missing = || {
                    rusqlite::Error::InvalidParameterName(format!(
                        "the layer that lends {key} files is not there"
                    ))
                };
                return Err(base.err().unwrap_or_else(missing));
            };
            let base = Base { key: base, shared: shared.1 };
            if let Some((key, mut layer)) = index.layers.remove_entry(key.as_str()) {
                layer.base = Some(base);
                index.insert_layer(key, layer);
            }
            Ok(())
        })?;
        for key in halves {
            self.index.remove_layer(&key);
        }
        Ok(())
    }

    fn images(&mut self) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut layers =
            connection.prepare("SELECT layer FROM image_layers WHERE image = ? ORDER BY position")?;
        let query = "SELECT id, config, legacy, parent, created_seconds, created_nanoseconds, size, virtual_size, labels,
            sequence FROM images";
        self.rows("images", query, |index, row| {
            let id = digest(row, 0)?;
            let keys = layers.query_map([Stored(id)], |row| row.get::<_, String>(0))?;
            let keys = keys.map(|key| {
                let key = key?;
                let known = index.layers.get_key_value(key.as_str()).map(|(key, _)| Arc::clone(key));
                let missing = || format!("the layer {key} of the image {id} is not there");
                known.ok_or_else(|| rusqlite::Error::InvalidParameterName(missing()))
            });
            let keys = keys.collect::<rusqlite::Result<Box<[_]>>>()?;
            let record = image(row, id, keys)?;
            index.insert_image(record);
            Ok(())
        })
    }

    fn names(&mut self) -> rusqlite::Result<()> {
        self.rows("tags", "SELECT repository, tag, image, target FROM tags", |index, row| {
            let (repository, tag): (String, String) = (row.get(0)?, row.get(1)?);
            let image = known(index, digest(row, 2)?)?;
            if let Some(target) = row.get::<_, Option<Stored>>(3)? {
                let targets = index.tag_targets.entry(repository.clone().into()).or_default();
                targets.insert(tag.clone().into(), target.0);
            }
            index.tags.entry(repository.into()).or_default().insert(tag.into(), image);
            Ok(())
        })?;
        self.rows("digests", "SELECT repository, digest, image FROM digests", |index, row| {
            let (repository, name): (String, Digest) = (row.get(0)?, digest(row, 1)?);
            let image = known(index, digest(row, 2)?)?;
            index.digests.entry(repository.into()).or_default().insert(name, image);
            Ok(())
        })
    }

    fn targets(&mut self) -> rusqlite::Result<()> {
        let query = "SELECT image, target, media_type, size, manifest FROM variants ORDER BY rowid";
        self.rows("variants", query, |index, row| {
            let target = Target {
                digest: digest(row, 1)?,
                media_type: row.get(2)?,
                size: unsigned(row, 3)?,
                variants: Vec::new(),
            };
            let variant = Variant { image: known(index, digest(row, 0)?)?, manifest: digest(row, 4)? };
            index.targets.insert(&target, variant);
            Ok(())
        })
    }

    /// The layers of images that are left out are not removed with the last other image that needs them.
    fn count_hidden_references(&mut self) -> rusqlite::Result<()> {
        self.rows("image_layers", "SELECT layer, image FROM image_layers", |index, row| {
            let key: String = row.get(0)?;
            let is_hidden = digest(row, 1).map_or(true, |image| !index.images.contains_key(&image));
            if let Some(layer) = index.layers.get_mut(key.as_str()).filter(|_| is_hidden) {
                layer.references += 1;
            }
            Ok(())
        })
    }
}

/// An image that is in the index.
fn known(index: &Index, image: Digest) -> rusqlite::Result<Digest> {
    let missing = || rusqlite::Error::InvalidParameterName(format!("the image {image} is not there"));
    index.images.contains_key(&image).then_some(image).ok_or_else(missing)
}

fn leave_out(index: &mut Index, table: &str, error: &dyn Display) {
    index.rows_left_out += 1;
    tracing::error!("a row of the table {table} of the image store cannot be read and is left out: {error}");
}

fn image(row: &Row<'_>, id: Digest, layers: Box<[LayerKey]>) -> rusqlite::Result<ImageRecord> {
    let nanoseconds = u32::try_from(row.get::<_, i64>(5)?).unwrap_or_default();
    let labels: Option<String> = row.get(8)?;
    Ok(ImageRecord {
        id,
        config: digest(row, 1)?,
        legacy: row.get::<_, Option<Stored>>(2)?.map(|stored| stored.0),
        parent: row.get::<_, Option<Stored>>(3)?.map(|stored| stored.0),
        created: Timestamp::from_unix(row.get(4)?, nanoseconds).unwrap_or(Timestamp::NEVER),
        size: unsigned(row, 6)?,
        virtual_size: unsigned(row, 7)?,
        labels: labels.and_then(|labels| serde_json::from_str(&labels).ok()).map(Arc::new),
        layers,
        sequence: unsigned(row, 9)?,
    })
}
