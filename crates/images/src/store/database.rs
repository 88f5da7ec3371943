//! The tables of `images.db`.

use std::path::Path;

use model::Digest;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};

use crate::Error;

/// The number of this layout, in `PRAGMA user_version`.
const VERSION: i64 = 2;
/// The number from the first layer on that another one lends files: earlier releases would take its own files for all.
pub(super) const LENDING_VERSION: i64 = 3;

const TABLES: &str = "
    CREATE TABLE documents (digest BLOB PRIMARY KEY, content BLOB NOT NULL);
    CREATE TABLE layers (
        key TEXT PRIMARY KEY, diff_id BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, tar_size INTEGER NOT NULL,
        boot TEXT
    );
    CREATE TABLE images (
        id BLOB PRIMARY KEY, config BLOB NOT NULL, legacy BLOB, parent BLOB,
        created_seconds INTEGER NOT NULL, created_nanoseconds INTEGER NOT NULL,
        size INTEGER NOT NULL, virtual_size INTEGER NOT NULL, labels TEXT, sequence INTEGER NOT NULL
    );
    CREATE TABLE image_layers (
        image BLOB NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL,
        layer TEXT NOT NULL REFERENCES layers(key), PRIMARY KEY (image, position)
    );
    CREATE TABLE tags (
        repository TEXT NOT NULL, tag TEXT NOT NULL, image BLOB NOT NULL REFERENCES images(id),
        target BLOB, PRIMARY KEY (repository, tag)
    );
    CREATE TABLE digests (
        repository TEXT NOT NULL, digest BLOB NOT NULL, image BLOB NOT NULL REFERENCES images(id),
        PRIMARY KEY (repository, digest)
    );
    CREATE TABLE layer_blobs (
        diff_id BLOB NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
        repository TEXT NOT NULL, PRIMARY KEY (diff_id, digest, repository)
    );
    CREATE INDEX layer_blobs_by_digest ON layer_blobs(digest);
";

/// The records of a layer's blobs are deleted with the layer.
const BLOBS_GO: &str = "
    CREATE TRIGGER IF NOT EXISTS layer_blobs_go AFTER DELETE ON layers
        BEGIN DELETE FROM layer_blobs WHERE diff_id = OLD.diff_id; END;
    DELETE FROM layer_blobs WHERE diff_id NOT IN (SELECT diff_id FROM layers);
";

/// Blobs that lie with their layers, and their sizes; a row is deleted with its layer.
const KEPT_BLOBS: &str = "
    CREATE TABLE kept_blobs (
        layer TEXT NOT NULL REFERENCES layers(key) ON DELETE CASCADE, digest BLOB NOT NULL,
        size INTEGER NOT NULL, PRIMARY KEY (layer, digest)
    ) WITHOUT ROWID;
";

/// Images whose configuration came from elsewhere; a mark is deleted with its image.
const FOREIGN: &str = "
    CREATE TABLE IF NOT EXISTS foreign_images (image BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TRIGGER IF NOT EXISTS foreign_images_go AFTER DELETE ON images
        BEGIN DELETE FROM foreign_images WHERE image = OLD.id; END;
    DELETE FROM foreign_images WHERE image NOT IN (SELECT id FROM images);
";

/// When each image got a tag the last time; earlier times were not recorded.
const LAST_TAGGED: &str = "
    CREATE TABLE IF NOT EXISTS last_tagged (image BLOB PRIMARY KEY, milliseconds INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TRIGGER IF NOT EXISTS tags_are_timed AFTER INSERT ON tags BEGIN
        INSERT OR REPLACE INTO last_tagged VALUES (NEW.image, CAST(unixepoch('subsec') * 1000 AS INTEGER));
    END;
    CREATE TRIGGER IF NOT EXISTS last_tagged_go AFTER DELETE ON images
        BEGIN DELETE FROM last_tagged WHERE image = OLD.id; END;
";

/// Images that are removed with the last container that uses them.
const LEAVING: &str =
    "CREATE TABLE IF NOT EXISTS leaving (image BLOB PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE);";

/// The manifest or index of each image; a row is deleted with its image.
const TARGETS: &str = "
    CREATE TABLE IF NOT EXISTS variants (
        image BLOB NOT NULL REFERENCES images(id) ON DELETE CASCADE, target BLOB NOT NULL,
        media_type TEXT NOT NULL, size INTEGER NOT NULL, manifest BLOB NOT NULL, PRIMARY KEY (image, target)
    );
    CREATE INDEX IF NOT EXISTS variants_by_target ON variants(target);
    CREATE INDEX IF NOT EXISTS variants_by_manifest ON variants(manifest);
    CREATE TABLE IF NOT EXISTS attachments (
        target BLOB NOT NULL, document BLOB NOT NULL, PRIMARY KEY (target, document)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS attachments_by_document ON attachments(document);
";

/// Steps of builds and their uses; a row is deleted with its image.
const STEPS: &str = "
    CREATE TABLE IF NOT EXISTS build_steps (
        image BLOB PRIMARY KEY, used_seconds INTEGER NOT NULL, uses INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TRIGGER IF NOT EXISTS build_steps_go AFTER DELETE ON images
        BEGIN DELETE FROM build_steps WHERE image = OLD.id; END;
";

/// Which layer lends which one files, and how many bytes these have.
const BASES: &str = "
    CREATE TABLE IF NOT EXISTS layer_bases (
        layer TEXT PRIMARY KEY REFERENCES layers(key) ON DELETE CASCADE,
        base TEXT NOT NULL REFERENCES layers(key), shared INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS layer_bases_by_base ON layer_bases(base);
";

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
    connection.execute_batch(BLOBS_GO).map_err(failed())?;
    find_kept_blobs(&connection, path).map_err(failed())?;
    take_former_marks(&connection).map_err(failed())?;
    connection.execute_batch(FOREIGN).map_err(failed())?;
    connection.execute_batch(LEAVING).map_err(failed())?;
    connection.execute_batch(LAST_TAGGED).map_err(failed())?;
    connection.execute_batch(TARGETS).map_err(failed())?;
    connection.execute_batch(STEPS).map_err(failed())?;
    connection.execute_batch(BASES).map_err(failed())?;
    if version == 1 {
        connection
            .execute_batch(&format!("BEGIN; {FROM_VERSION_1} PRAGMA user_version = {VERSION}; COMMIT;"))
            .map_err(failed())?;
    }
    super::keep_log(&connection, path, LOG_ROOM).map_err(failed())?;
    Ok(connection)
}

/// Keeps the marks of an earlier release, which only had those of images from a registry.
fn take_former_marks(connection: &Connection) -> rusqlite::Result<()> {
    if connection.table_exists(None, "pulled")? && !connection.table_exists(None, "foreign_images")? {
        connection.execute_batch(
            "DROP TRIGGER IF EXISTS pulled_go; ALTER TABLE pulled RENAME TO foreign_images;",
        )?;
    }
    Ok(())
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
