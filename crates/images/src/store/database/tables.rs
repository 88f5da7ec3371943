//! The tables of `images.db`, and how those of earlier releases become them.

use std::path::Path;

use rusqlite::Connection;

use super::super::stored::{Stored, blob_name, digest, signed, unsigned};

/// The number of these tables, in `PRAGMA user_version`. A table or a column that is new or other needs the next number: an
/// earlier release would not keep it as it must be.
pub(super) const VERSION: i64 = 4;

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

/// Brings tables of a version to the present one. Versions 2 and 3 got tables over time, and 3 stood in a database with layers
/// that others lend files.
pub(super) fn bring(connection: &Connection, version: i64, path: &Path) -> rusqlite::Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
    }
    transaction.execute_batch(BLOBS_GO)?;
    find_kept_blobs(&transaction, path)?;
    take_former_marks(&transaction)?;
    for tables in [FOREIGN, LEAVING, LAST_TAGGED, TARGETS, STEPS, BASES] {
        transaction.execute_batch(tables)?;
    }
    if version == 1 {
        transaction.execute_batch(FROM_VERSION_1)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Takes images out of a database that was made of a damaged one unless all their layers are in it. Where rows of what
/// layers borrow may be lost, no layer is known to be whole. Gives how many images stay.
pub(super) fn drop_incomplete_images(connection: &Connection, broken: &[String]) -> rusqlite::Result<u64> {
    let is_any_whole = !broken.iter().any(|table| table == "layer_bases");
    let whole = "SELECT id FROM images JOIN documents ON documents.digest = config
        WHERE CASE WHEN json_valid(CAST(content AS TEXT))
            THEN coalesce(json_array_length(CAST(content AS TEXT), '$.rootfs.diff_ids'), 0) END =
            (SELECT count(*) FROM image_layers JOIN layers ON key = layer WHERE image = id)";
    connection.execute_batch(&format!(
        "BEGIN; CREATE TEMP TABLE whole AS {whole}; DELETE FROM whole WHERE NOT {is_any_whole};
         DELETE FROM tags WHERE image NOT IN whole; DELETE FROM digests WHERE image NOT IN whole;
         DELETE FROM image_layers WHERE image NOT IN whole; DELETE FROM images WHERE id NOT IN whole;
         DELETE FROM variants WHERE image NOT IN whole; DELETE FROM leaving WHERE image NOT IN whole;
         DELETE FROM kept_blobs WHERE layer NOT IN (SELECT key FROM layers);
         DELETE FROM layer_bases WHERE layer NOT IN (SELECT key FROM layers);
         DROP TABLE whole; COMMIT;"
    ))?;
    connection.query_row("SELECT count(*) FROM images", [], |row| unsigned(row, 0))
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
    connection.execute_batch(KEPT_BLOBS)?;
    let mut insert = connection.prepare("INSERT INTO kept_blobs VALUES (?, ?, ?)")?;
    let mut known = connection
        .prepare("SELECT DISTINCT key, layer_blobs.digest FROM layers JOIN layer_blobs USING (diff_id)")?;
    let mut rows = known.query([])?;
    while let Some(row) = rows.next()? {
        let (key, digest) = (row.get::<_, String>(0)?, digest(row, 1)?);
        let file = path.with_file_name("layers").join(&key).join(blob_name(digest));
        if let Ok(metadata) = file.metadata() {
            insert.execute((key, Stored(digest), signed(metadata.len())))?;
        }
    }
    Ok(())
}
