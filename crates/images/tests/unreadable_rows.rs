//! A store opens although rows of its database cannot be read: what they are about is left out, and nothing of it is deleted.

mod support;

use berth_images::{ImportOptions, ListFilter, Store};
use model::{Digest, ImageReference};
use rusqlite::Connection;
use support::{Archive, Scratch};

fn import(store: &Store, name: &str) -> Digest {
    let reference = Some(ImageReference::parse(name).expect("a name"));
    let options = ImportOptions { source: "-".to_owned(), reference, ..ImportOptions::default() };
    store.import(&Archive::new().file(name, name.as_bytes()).finish()[..], &options).expect("an image").id
}

fn change(scratch: &Scratch, statement: &str) {
    let database = Connection::open(scratch.path().join("images.db")).expect("the database");
    database.pragma_update(None, "foreign_keys", false).expect("no checks");
    assert!(database.execute(statement, []).expect(statement) > 0, "{statement}");
}

fn layers(scratch: &Scratch) -> usize {
    std::fs::read_dir(scratch.path().join("layers")).expect("the layers").count()
}

#[test]
fn a_row_that_cannot_be_read_hides_what_it_is_about_and_nothing_else() {
    for (damage, repair) in [
        (
            "UPDATE images SET config = 'x' WHERE id IN (SELECT image FROM tags WHERE repository = 'first')",
            true,
        ),
        (
            "UPDATE images SET size = 'x' WHERE id IN (SELECT image FROM tags WHERE repository = 'first')",
            true,
        ),
        ("UPDATE images SET id = 'x' WHERE id IN (SELECT image FROM tags WHERE repository = 'first')", true),
        ("UPDATE tags SET image = 1 WHERE repository = 'first'", true),
        ("UPDATE tags SET tag = x'ff' WHERE repository = 'first'", true),
        ("INSERT INTO digests VALUES ('first', 'no digest', 'no image')", false),
        ("INSERT INTO variants VALUES (1, 2, 3, 4, 5)", false),
        ("INSERT INTO foreign_images VALUES ('x')", false),
        ("INSERT INTO leaving VALUES ('x')", false),
        ("INSERT INTO build_steps VALUES ('x', 'y', 'z')", false),
        (
            "UPDATE layers SET diff_id = 'x' WHERE key IN (SELECT layer FROM image_layers, tags
                WHERE tags.image = image_layers.image AND repository = 'first')",
            true,
        ),
        (
            "UPDATE layers SET size = 'x' WHERE key IN (SELECT layer FROM image_layers, tags
                WHERE tags.image = image_layers.image AND repository = 'first')",
            true,
        ),
        (
            "UPDATE image_layers SET layer = x'00' WHERE image IN
                (SELECT image FROM tags WHERE repository = 'first')",
            true,
        ),
        ("INSERT INTO layer_bases SELECT layer, 'none', 1 FROM image_layers LIMIT 1", false),
        ("INSERT INTO kept_blobs SELECT key, 'no digest', 'no size' FROM layers", false),
    ] {
        let scratch = Scratch::new();
        let store = Store::open(scratch.path()).expect("a store");
        let (first, second) = (import(&store, "first"), import(&store, "second"));
        drop(store);
        change(&scratch, damage);
        for opened in 1..=2 {
            let store = Store::open(scratch.path()).unwrap_or_else(|error| panic!("{damage}: {error}"));
            let is_hidden = store.resolve("first").is_err();
            assert!(is_hidden || !repair, "{damage}, opened {opened} times: the row has no effect");
            assert_eq!(layers(&scratch), 2, "{damage}: files are kept");
            if !damage.contains("layer_bases") {
                assert_eq!(store.resolve("second").expect(damage).id, second);
            }
            let _ = store.list(&ListFilter::default());
        }
        // What is brought once more is there again, and all can be removed.
        let store = Store::open(scratch.path()).expect(damage);
        if repair {
            let _ = first;
            import(&store, "first");
            assert!(store.resolve("first").is_ok(), "{damage}");
        }
        store
            .remove("second", Default::default())
            .map(drop)
            .unwrap_or_else(|error| panic!("{damage}: {error}"));
    }
}

#[test]
fn while_a_damaged_database_lies_aside_no_layer_goes_with_the_images_that_are_known() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    import(&store, "first");
    drop(store);
    let aside = scratch.path().join("images.db.damaged-1");
    std::fs::write(&aside, "").expect("a file");
    let store = Store::open(scratch.path()).expect("a store");
    store.remove("first", Default::default()).expect("removed");
    assert!(store.resolve("first").is_err());
    assert_eq!(layers(&scratch), 1, "a lost image may need it");
    import(&store, "second");
    store.remove("second", Default::default()).expect("removed");
    assert_eq!(layers(&scratch), 1, "no lost image needs what came since");
    drop(store);
    drop(Store::open(scratch.path()).expect("a store"));
    assert_eq!(layers(&scratch), 1);
    std::fs::remove_file(&aside).expect("deleted");
    drop(Store::open(scratch.path()).expect("a store"));
    assert_eq!(layers(&scratch), 0);
}
