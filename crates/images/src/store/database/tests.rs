//! Databases of earlier releases keep all they hold.

use super::super::Name;
use super::super::load_index::load_index;
use super::super::stored::{Stored, blob_name};
use super::*;
use model::Digest;

#[test]
fn marks_of_an_earlier_release_are_kept() {
    let directory = std::env::temp_dir().join(format!("berth-former-marks-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("images.db");
    let id = Digest::from_bytes([7; 32]);
    let former = open(&path).expect("a database");
    former
        .execute_batch(
            "PRAGMA user_version = 2; DROP TABLE foreign_images; DROP TRIGGER foreign_images_go;
             CREATE TABLE pulled (image BLOB PRIMARY KEY) WITHOUT ROWID;
             CREATE TRIGGER pulled_go AFTER DELETE ON images
                 BEGIN DELETE FROM pulled WHERE image = OLD.id; END;",
        )
        .expect("the tables of then");
    former
        .execute("INSERT INTO images VALUES (?1, ?1, NULL, NULL, 0, 0, 0, 0, NULL, 1)", [Stored(id)])
        .expect("an image");
    former.execute("INSERT INTO pulled VALUES (?)", [Stored(id)]).expect("its mark");
    drop(former);
    let marked = |connection: &Connection| -> i64 {
        connection.query_row("SELECT COUNT(*) FROM foreign_images", [], |row| row.get(0)).expect("a count")
    };
    let connection = open(&path).expect("the same database");
    assert_eq!(marked(&connection), 1);
    connection.execute("DELETE FROM images", []).expect("no image");
    assert_eq!(marked(&connection), 0, "a mark goes with its image");
    assert_eq!(marked(&open(&path).expect("once more")), 0);
    std::fs::remove_dir_all(&directory).expect("removed");
}

/// The tables of version 1.
const VERSION_1: &str = "
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
        PRIMARY KEY (repository, tag)
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
    PRAGMA user_version = 1;
";

/// The other tables of version 1 in its last releases.
const LAST_OF_VERSION_1: &str = "
    CREATE TABLE foreign_images (image BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE last_tagged (image BLOB PRIMARY KEY, milliseconds INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TRIGGER tags_are_timed AFTER INSERT ON tags BEGIN
        INSERT OR REPLACE INTO last_tagged VALUES (NEW.image, 7);
    END;
    CREATE TABLE variants (
        image BLOB NOT NULL REFERENCES images(id) ON DELETE CASCADE, target BLOB NOT NULL,
        media_type TEXT NOT NULL, size INTEGER NOT NULL, manifest BLOB NOT NULL, PRIMARY KEY (image, target)
    );
    CREATE TABLE attachments (
        target BLOB NOT NULL, document BLOB NOT NULL, PRIMARY KEY (target, document)
    ) WITHOUT ROWID;
";

/// The digest that is this byte again and again.
fn id(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

/// A database of version 1 with an image under two indexes, one that was made here, and their tags.
fn former(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a database");
    connection.execute_batch(VERSION_1).expect("the tables of version 1");
    for (number, image) in [(0_i64, 1_u8), (1, 2)] {
        connection
            .execute(
                "INSERT INTO images VALUES (?1, ?1, NULL, NULL, 5, 6, 7, 8, '{\"a\":\"b\"}', ?2)",
                (Stored(id(image)), number),
            )
            .expect("an image");
        connection
            .execute("INSERT INTO documents VALUES (?, ?)", (Stored(id(image)), [image]))
            .expect("its config");
    }
    connection
        .execute("INSERT INTO layers VALUES ('key', ?, 3, 4, NULL)", [Stored(id(9))])
        .and_then(|_| connection.execute("INSERT INTO image_layers VALUES (?, 0, 'key')", [Stored(id(1))]))
        .expect("a layer");
    for (repository, tag, image) in
        [("a", "one", 1), ("a", "two", 1), ("elsewhere", "one", 1), ("made", "here", 2)]
    {
        connection
            .execute("INSERT INTO tags VALUES (?, ?, ?)", (repository, tag, Stored(id(image))))
            .expect("a tag");
    }
    connection
}

#[test]
fn tags_of_version_1_keep_what_they_led_to() {
    let directory = std::env::temp_dir().join(format!("berth-version-1-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("images.db");
    let connection = former(&path);
    connection.execute_batch(LAST_OF_VERSION_1).expect("the other tables");
    for (target, manifest) in [(11, 21), (12, 22)] {
        connection
            .execute(
                "INSERT INTO variants VALUES (?, ?, 'an/index', 40, ?)",
                (Stored(id(1)), Stored(id(target)), Stored(id(manifest))),
            )
            .expect("what an image came under");
    }
    connection
        .execute("INSERT INTO digests VALUES ('a', ?, ?)", (Stored(id(11)), Stored(id(1))))
        .and_then(|_| connection.execute("INSERT INTO attachments VALUES (?1, ?1)", [Stored(id(11))]))
        .and_then(|_| connection.execute("INSERT INTO foreign_images VALUES (?)", [Stored(id(1))]))
        .and_then(|_| connection.execute("INSERT INTO last_tagged VALUES (?, 77)", [Stored(id(1))]))
        .expect("the rest");
    drop(connection);
    // Once more as what it has become.
    for _ in 0..2 {
        let connection = open(&path).expect("the database of the former version");
        let index = load_index(&connection).expect("all of it");
        let led = |repository: &str, tag: &str| {
            let name = Name::Tag(repository.to_owned(), tag.to_owned());
            (index.named(&name), index.target_of_name(&name).map(|target| target.digest))
        };
        for tag in ["one", "two"] {
            assert_eq!(led("a", tag), (Some(id(1)), Some(id(11))), "what the repository calls it by");
        }
        assert_eq!(led("elsewhere", "one"), (Some(id(1)), Some(id(12))), "what it came under last");
        assert_eq!(led("made", "here"), (Some(id(2)), None));
        assert_eq!(index.named(&Name::Digest("a".to_owned(), id(11))), Some(id(1)));
        assert_eq!((index.images.len(), index.layers.len()), (2, 1));
        assert_eq!(
            index.images[&id(1)].labels.as_ref().map(|labels| labels["a"].clone()).as_deref(),
            Some("b")
        );
        assert_eq!(index.images[&id(1)].layers.len(), 1);
        assert!(index.foreign.contains(&id(1)));
        let count = |table: &str| -> i64 {
            let query = format!("SELECT count(*) FROM {table}");
            connection.query_row(&query, [], |row| row.get(0)).expect("a count")
        };
        assert_eq!(["documents", "variants", "attachments", "digests"].map(count), [2, 2, 1, 1]);
        let tagged: i64 = connection
            .query_row("SELECT milliseconds FROM last_tagged WHERE image = ?", [Stored(id(1))], |row| {
                row.get(0)
            })
            .expect("a time");
        assert_eq!(tagged, 77, "no tag was given anew");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn the_first_tables_of_version_1_are_enough() {
    let directory = std::env::temp_dir().join(format!("berth-first-version-1-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("images.db");
    drop(former(&path));
    let index = load_index(&open(&path).expect("the database")).expect("all of it");
    assert_eq!((index.images.len(), index.tags["a"].len(), index.tag_targets.len()), (2, 2, 0));
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn blobs_that_an_earlier_release_kept_are_found_once() {
    let directory = std::env::temp_dir().join(format!("berth-kept-blobs-{}", std::process::id()));
    let beside = directory.join("layers/key");
    std::fs::create_dir_all(&beside).expect("a layer's directory");
    let path = directory.join("images.db");
    let connection = former(&path);
    for (digest, repository) in [(4, "a"), (4, "b"), (5, "a")] {
        connection
            .execute(
                "INSERT INTO layer_blobs VALUES (?, ?, 77, 'a/type', ?)",
                (Stored(id(9)), Stored(id(digest)), repository),
            )
            .expect("a blob that is known");
    }
    std::fs::write(beside.join(blob_name(id(4))), [0; 77]).expect("a blob that is kept");
    drop(connection);
    for _ in 0..2 {
        let connection = open(&path).expect("the database");
        let index = load_index(&connection).expect("all of it");
        assert_eq!(index.layers["key"].kept, 77);
        // Later the record is believed.
        let _ = std::fs::remove_file(beside.join(blob_name(id(4))));
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

/// The tables with their columns, the indexes and the triggers of a database.
fn shape(connection: &Connection) -> std::collections::BTreeSet<String> {
    let query = "SELECT sqlite_master.type || ' ' || sqlite_master.name || coalesce('.' || columns.name || ' ' || columns.type, '')
        FROM sqlite_master LEFT JOIN pragma_table_info(sqlite_master.name) AS columns ON sqlite_master.type = 'table'
        WHERE sqlite_master.name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(query).expect("a query");
    let lines = statement.query_map([], |row| row.get(0)).expect("its rows");
    lines.collect::<rusqlite::Result<_>>().expect("texts")
}

#[test]
fn tables_of_another_shape_are_of_another_version() {
    let directory = std::env::temp_dir().join(format!("berth-shapes-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let present = shape(&open(&directory.join("images.db")).expect("a database"));
    drop(former(&directory.join("former.db")));
    let brought = shape(&open(&directory.join("former.db")).expect("the database of version 1"));
    assert_eq!(brought, present, "version 1 becomes what a new one is");
    let path =
        format!("{}/src/store/database/shapes/version{}.txt", env!("CARGO_MANIFEST_DIR"), tables::VERSION);
    if std::env::var("BERTH_GOLDEN").is_ok_and(|value| value == "write") && !Path::new(&path).exists() {
        let lines: String = present.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, lines).expect("a new version's file");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let kept = kept.lines().map(str::to_owned).collect();
    assert_eq!(
        present,
        kept,
        "the tables of version {} are others than in {path}: another shape needs the next number in tables.rs and its own \
         file here, which BERTH_GOLDEN=write makes",
        tables::VERSION
    );
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn of_a_damaged_database_the_images_stay_that_are_whole() {
    let directory = std::env::temp_dir().join(format!("berth-incomplete-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    for (broken, left) in [(vec![], 1), (vec!["tags".to_owned()], 1), (vec!["layer_bases".to_owned()], 0)] {
        let path = directory.join(format!("{left}-{}.db", broken.len()));
        drop(former(&path));
        let connection = open(&path).expect("the database");
        let config = |layers: &str| format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[{layers}]}}}}"#);
        for (image, layers) in [(1, "\"one\""), (2, "\"one\",\"two\"")] {
            connection
                .execute(
                    "UPDATE documents SET content = CAST(? AS BLOB) WHERE digest = ?",
                    (config(layers), Stored(id(image))),
                )
                .expect("a configuration");
        }
        assert_eq!(tables::drop_incomplete_images(&connection, &broken).expect("done"), left, "{broken:?}");
        let index = load_index(&connection).expect("all of it");
        assert_eq!(index.images.contains_key(&id(1)), left == 1);
        assert_eq!((index.images.len() as u64, index.rows_left_out), (left, 0));
        assert_eq!(index.tags.len() as u64, left * 2, "names go with their images");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}
