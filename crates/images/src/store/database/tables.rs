//! The tables of `images.db`, and those among them that an earlier release did not make.
//!
//! To look for each of these takes longer than all else that opening a database takes. So a database that has them says so by its
//! `application_id`, a digest of the statements that made them.

use rusqlite::Connection;

/// The tables that a new database begins with.
pub(super) const TABLES: &str = "
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
";

/// Deletes what was recorded of a blob while its layer was deleted.
const BLOBS_OF_NO_LAYER: &str = "DELETE FROM layer_blobs WHERE diff_id NOT IN (SELECT diff_id FROM layers)";

/// Blobs that lie with their layers, and their sizes; a row is deleted with its layer.
pub(super) const KEPT_BLOBS: &str = "
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

/// What makes the later tables, but for that of kept blobs.
const LATER: [&str; 7] = [BLOBS_GO, FOREIGN, LEAVING, LAST_TAGGED, TARGETS, STEPS, BASES];

/// Makes what an earlier release did not make, the table of kept blobs by the function, and forgets blobs of layers that are
/// gone.
///
/// # Errors
/// When the database fails.
pub(super) fn make_later(
    connection: &Connection,
    find_kept_blobs: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    connection.execute(BLOBS_OF_NO_LAYER, [])?;
    let made: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if made == mark() {
        return Ok(());
    }
    find_kept_blobs(connection)?;
    take_former_marks(connection)?;
    LATER.iter().try_for_each(|statements| connection.execute_batch(statements))?;
    connection.pragma_update(None, "application_id", mark())
}

/// What a database bears that has all tables: FNV-1a of the statements, which differs as soon as one of them does.
fn mark() -> i32 {
    let bytes = LATER.iter().chain([&KEPT_BLOBS]).flat_map(|statements| statements.bytes());
    let digest =
        bytes.fold(0x811c_9dc5_u32, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    digest.cast_signed()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_release_did_not_have_is_made_once() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(TABLES).expect("the tables of then");
        let make =
            || make_later(&connection, |connection| connection.execute_batch(KEPT_BLOBS)).expect("made");
        make();
        let has = |table| connection.table_exists(None, table).expect("an answer");
        assert!(has("kept_blobs") && has("foreign_images") && has("layer_bases"));
        // A database that says that it has all is believed.
        connection.execute_batch("DROP TABLE leaving; DROP TABLE kept_blobs").expect("gone");
        make();
        assert!(!has("leaving"));
        connection.pragma_update(None, "application_id", mark() ^ 1).expect("of another release");
        make();
        assert!(has("leaving"));
    }
}
