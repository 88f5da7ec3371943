//! Opens `images.db`; what it holds.

mod tables;

use std::path::Path;

use model::Digest;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};

use crate::Error;
use tables::{KEPT_BLOBS, TABLES};

/// The number of this layout, in `PRAGMA user_version`.
const VERSION: i64 = 2;
/// The number from the first layer on that another one lends files: earlier releases would take its own files for all.
pub(super) const LENDING_VERSION: i64 = 3;

/// Version 1 did not record the target of each tag. It showed and pushed for every tag its repository's digest of the
/// image, or else the image's last target: the tag keeps that, or the index with the most platforms, for no image may
/// lose its name by this.
const FROM_VERSION_1: &str = "
    ALTER TABLE tags ADD COLUMN target BLOB;
    UPDATE tags SET target = coalesce(
        (SELECT variants.target FROM variants JOIN digests
            ON digests.digest = variants.target AND digests.repository = tags.repository
            WHERE variants.image = tags.image ORDER BY variants.rowid DESC LIMIT 1),
        (SELECT target FROM variants WHERE variants.image = tags.image ORDER BY
            (SELECT count(*) FROM variants AS other WHERE other.target = variants.target) DESC,
            variants.rowid DESC LIMIT 1));
";

/// Space for the changes that are not yet in the database's own file. They are moved there in the background when they have
/// grown to half of that, see `checkpoint`; where that does not keep up, by the next change.
const LOG_ROOM: u64 = 2 << 20;

/// Opens the database: WAL, whose commits survive any crash of the process, and a loss of power soon after; those that must
/// survive it at once are made with [`durably`].
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let failed = || Error::database("open the store");
    let connection = Connection::open(path).map_err(failed())?;
    // A small cache: readers use the index, only documents and changes come here.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -256; PRAGMA wal_autocheckpoint = 448; PRAGMA temp_store = MEMORY;
             PRAGMA busy_timeout = 10000;",
        )
        .map_err(failed())?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed())?;
    if version == 0 {
        connection
            .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))
            .map_err(failed())?;
    } else if !(1..=LENDING_VERSION).contains(&version) {
        let message = format!("the layout has version {version}, this program knows {}", LENDING_VERSION);
        return Err(failed()(rusqlite::Error::InvalidParameterName(message)));
    }
    tables::make_later(&connection, |connection| find_kept_blobs(connection, path)).map_err(failed())?;
    if version == 1 {
        connection
            .execute_batch(&format!("BEGIN; {FROM_VERSION_1} PRAGMA user_version = {VERSION}; COMMIT;"))
            .map_err(failed())?;
    }
    super::keep_log(&connection, path, LOG_ROOM).map_err(failed())?;
    Ok(connection)
}

/// Makes the table of kept blobs. A store of an earlier release has such blobs already: they are searched this once.
fn find_kept_blobs(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    if connection.table_exists(None, "kept_blobs")? {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(KEPT_BLOBS)?;
    let mut insert = transaction.prepare("INSERT INTO kept_blobs VALUES (?, ?, ?)")?;
    let mut known = transaction
        .prepare("SELECT DISTINCT key, layer_blobs.digest FROM layers JOIN layer_blobs USING (diff_id)")?;
    let mut rows = known.query([])?;
    while let Some(row) = rows.next()? {
        let (key, digest) = (row.get::<_, String>(0)?, digest(row, 1)?);
        let file = path.with_file_name("layers").join(&key).join(blob_name(digest));
        if let Ok(metadata) = file.metadata() {
            insert.execute((key, Stored(digest), signed(metadata.len())))?;
        }
    }
    drop(rows);
    drop((known, insert));
    transaction.commit()
}

/// The name of a blob in its layer's directory.
pub(super) fn blob_name(digest: Digest) -> String {
    format!("blob-{}", digest.hexadecimal())
}

/// Makes changes that are on disk when this returns, and with them all made before.
pub(super) fn durably<T>(
    connection: &mut Connection,
    change: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let result = change(connection);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    result
}

/// A digest in a column.
pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, Stored>(column).map(|stored| stored.0)
}

/// A size in a column.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or_default())
}

/// Sizes as SQLite stores them.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A digest as its 32 bytes.
pub(super) struct Stored(pub(super) Digest);

impl FromSql for Stored {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| FromSqlError::InvalidType)?;
        Ok(Self(Digest::from_bytes(bytes)))
    }
}

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_bytes())))
    }
}

#[cfg(test)]
mod tests;
