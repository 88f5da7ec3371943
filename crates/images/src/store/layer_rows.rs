//! The rows of layers in the database.

use rusqlite::Connection;

use super::index::LayerRecord;
use super::stored::{Stored, signed};

/// Records a layer, and which one lends it files.
pub(super) fn insert_layer(
    connection: &mut Connection,
    key: &str,
    layer: &LayerRecord,
    boot: &str,
) -> rusqlite::Result<()> {
    let values = (key, Stored(layer.diff_id), signed(layer.size), signed(layer.tar_size), boot);
    const INSERT: &str = "INSERT INTO layers (key, diff_id, size, tar_size, boot) VALUES (?, ?, ?, ?, ?)";
    // One that could not be read, and is not in the index, makes room for it.
    connection
        .prepare_cached("UPDATE layers SET diff_id = 'left out ' || key WHERE diff_id = ?")?
        .execute([Stored(layer.diff_id)])?;
    let Some(base) = &layer.base else {
        return connection.prepare_cached(INSERT)?.execute(values).map(drop);
    };
    let transaction = connection.transaction()?;
    transaction.prepare_cached(INSERT)?.execute(values)?;
    transaction.prepare_cached("INSERT INTO layer_bases VALUES (?, ?, ?)")?.execute((
        key,
        &*base.key,
        signed(base.shared),
    ))?;
    transaction.commit()
}
