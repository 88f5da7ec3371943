//! Layers that lend others files: the kernel's overlay shows both as one, and what is lent stays as long as it is needed.
//! Needs root.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use berth_images::{
    Image, KnownContent, KnownFiles, Layer, LentFile, ListFilter, NewImage, Origin, RemoveOptions, Store,
};
use model::ImageReference;
use support::{Scratch, overlay};

const TIME: i64 = 1_420_070_400;

/// Writes a file as copies do.
fn write(directory: &Path, path: &str, content: &str) {
    let file = directory.join(path);
    fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
    fs::write(&file, content).expect("a file");
    set_time(&file);
}

fn set_time(path: &Path) {
    let time = rustix::fs::Timespec { tv_sec: TIME, tv_nsec: 5 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty()).expect("a time");
}

/// Sets the times of directories, the lowest first.
fn finish(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            finish(&path);
            set_time(&path);
        }
    }
}

fn whole(scratch: &Scratch, name: &str, changed: &str) -> PathBuf {
    let upper = scratch.path().join(name);
    write(&upper, "files/a/1", changed);
    write(&upper, "files/a/2", "two");
    write(&upper, "files/b", "bee");
    finish(&upper);
    upper
}

fn lent(size: u64) -> Option<LentFile> {
    let mode = 0o644;
    Some(LentFile { mode, user: 0, group: 0, size, seconds: TIME, nanoseconds: 5 })
}

/// Makes a layer with one changed file above a base that lends the others.
fn borrow(store: &Store, scratch: &Scratch, base: &Layer, changed: &str) -> Layer {
    let upper = scratch.path().join("borrower");
    write(&upper, "files/a/1", changed);
    finish(&upper);
    let read = |path: &Path, buffer: &mut Vec<u8>| {
        let content = match path.to_str() {
            Some("1") => changed,
            Some("2") => "two",
            _ => return Ok(KnownContent::File(scratch.path().join("bee"))),
        };
        buffer.extend_from_slice(content.as_bytes());
        Ok(KnownContent::Buffered)
    };
    fs::write(scratch.path().join("bee"), "bee").expect("a source");
    let mut files = KnownFiles::new(&read);
    files.add(Path::new("files/a/1"), "1".into(), None, None);
    files.add(Path::new("files/a/2"), "2".into(), None, lent(3));
    files.add(Path::new("files/b"), "b".into(), None, lent(3));
    let (layer, _) = store.adopt_copied(&upper, &[], Some((base, &[])), files).expect("a layer");
    layer
}

fn image(store: &Store, layers: &[Layer], comment: &str) -> Image {
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", layer.diff_id())).collect();
    let config = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"comment\":\"{comment}\",\
          \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
        diff_ids.join(",")
    );
    let config = config.as_bytes();
    let origin = Origin::Here;
    let new = NewImage { config, layers, parent: None, legacy: None, origin, target: None };
    let image = store.add_image(&new).expect("an image");
    let name = ImageReference::parse(comment).expect("a name");
    store.tag(&image.id, &name, berth_images::TagPolicy::Keep).expect("a tag");
    image
}

fn tar(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("its tar");
    assert_eq!(berth_images::digest_of(&tar), layer.diff_id());
    tar
}

fn on_disk(store: &Store) -> usize {
    fs::read_dir(store.root().join("layers")).expect("layers").count()
}

#[test]
fn a_layer_and_its_base_are_what_the_whole_layer_is() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("one")).expect("a store");
    let other = Store::open(scratch.path().join("other")).expect("a store");
    let adopt = |store: &Store, upper: &Path| {
        store.adopt_layer(upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer")
    };
    let base = adopt(&store, &whole(&scratch, "base", "one"));
    let borrower = borrow(&store, &scratch, &base, "changed");
    let alone = adopt(&other, &whole(&scratch, "alone", "changed"));
    assert!(borrower.has_base() && !alone.has_base());
    assert_eq!(borrower.diff_id(), alone.diff_id());
    assert_eq!((borrower.size(), borrower.tar_size()), (alone.size(), alone.tar_size()));
    assert!(tar(&borrower) == tar(&alone));
    assert_eq!(borrower.directories(), [borrower.directory(), base.directory()]);
    let one = overlay::listing(scratch.path(), "shown", &borrower.directories());
    // Overlay needs two directories below to be mounted without one above in this form.
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    let whole = overlay::listing(scratch.path(), "whole", &[alone.directory(), empty]);
    assert_eq!(one, whole);
    assert_eq!(one.lines().count(), 5 + 3, "two directories, three files and their sums");
    // Above its own base, the base's directory is there once.
    let both = image(&store, &[base.clone(), borrower.clone()], "both");
    assert_eq!(store.lower_directories(&both), borrower.directories());
    let between = image(&store, &[borrower.clone(), base.clone()], "between");
    assert_eq!(store.lower_directories(&between), [base.directory(), borrower.directory()]);
}

#[test]
fn a_base_stays_as_long_as_a_layer_borrows_from_it() {
    let scratch = Scratch::new();
    let root = scratch.path().join("images");
    let store = Store::open(&root).expect("a store");
    let upper = whole(&scratch, "base", "one");
    let base = store.adopt_layer(&upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let borrower = borrow(&store, &scratch, &base, "changed");
    let (first, second) = (
        image(&store, std::slice::from_ref(&base), "first"),
        image(&store, std::slice::from_ref(&borrower), "second"),
    );
    let expected = tar(&borrower);
    drop((base, borrower));
    let pruned = |store: &Store, image: &Image| {
        let pruned = store.prune(&ListFilter::default(), |_, _, _| {}).expect("pruned");
        assert!(store.image(&image.id).is_err());
        pruned.reclaimed
    };
    store.remove(&first.id.hexadecimal(), RemoveOptions::default()).expect("removed");
    assert_eq!(on_disk(&store), 2, "the base is needed");
    drop(store);
    let store = Store::open(&root).expect("the store again");
    assert_eq!(on_disk(&store), 2, "the base is still needed");
    let layers = store.layers(&second).expect("its layer");
    assert!(layers[0].has_base() && tar(&layers[0]) == expected);
    assert_eq!(store.lower_directories(&second), layers[0].directories());
    drop(layers);
    assert_eq!(pruned(&store, &second), 7 + (3 + 3 + 3), "its own file and those of the base");
    assert_eq!(on_disk(&store), 0);
    drop(store);
    assert_eq!(Store::open(&root).expect("the store again").count(), 0);
}

#[test]
fn images_with_a_base_in_common_go_together() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let upper = whole(&scratch, "base", "one");
    let base = store.adopt_layer(&upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let one = borrow(&store, &scratch, &base, "changed");
    let two = borrow(&store, &scratch, &base, "differently");
    image(&store, &[base.clone(), one.clone()], "one");
    image(&store, &[two.clone(), base.clone()], "two");
    drop((base, one, two));
    assert_eq!(on_disk(&store), 3);
    let pruned = store.prune(&ListFilter::default(), |_, _, _| {}).expect("pruned");
    assert_eq!(pruned.reclaimed, 7 + 11 + 9);
    assert_eq!(on_disk(&store), 0);
}

#[test]
fn a_layer_that_nobody_took_goes_and_a_base_that_is_swept_with_it() {
    let scratch = Scratch::new();
    let root = scratch.path().join("images");
    let store = Store::open(&root).expect("a store");
    let upper = whole(&scratch, "base", "one");
    let base = store.adopt_layer(&upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let borrower = borrow(&store, &scratch, &base, "changed");
    drop(base);
    assert_eq!(on_disk(&store), 2, "the borrower holds it");
    // As if the process were killed: the records stay.
    std::mem::forget(borrower);
    let again = Store::open(&root).expect("the store again");
    assert_eq!(on_disk(&again), 0);
}

#[test]
fn what_is_lent_must_be_what_is_described() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let upper = whole(&scratch, "base", "one");
    let base = store.adopt_layer(&upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let read = |_: &Path, buffer: &mut Vec<u8>| {
        buffer.extend_from_slice(b"two");
        Ok(KnownContent::Buffered)
    };
    for (path, size) in [("files/a/2", 4), ("files/missing/2", 3), ("files/a/1", 3)] {
        let upper = scratch.path().join("borrower");
        write(&upper, "files/a/1", "changed");
        let mut files = KnownFiles::new(&read);
        files.add(Path::new(path), "2".into(), None, lent(size));
        store.adopt_copied(&upper, &[], Some((&base, &[])), files).expect_err(path);
        assert_eq!(on_disk(&store), 1, "{path}: nothing is left");
    }
}

#[test]
fn sizes_count_what_is_lent_once() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let upper = whole(&scratch, "base", "one");
    let base = store.adopt_layer(&upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let borrower = borrow(&store, &scratch, &base, "changed");
    let image = image(&store, &[borrower], "borrower");
    drop(base);
    assert_eq!((image.size, image.virtual_size), (13, 13));
    let sizes = store.size_of_images(&std::collections::HashSet::from([image.id]));
    assert_eq!((sizes.all, sizes.used), (7 + 9, 7 + 9), "the borrower's own file and the base");
}

/// Has a store check all its layers as after a loss of power.
fn lose_power(root: &Path) {
    let database = rusqlite::Connection::open(root.join("images.db")).expect("the database");
    database.execute("UPDATE layers SET boot = 'another'", []).expect("another boot");
}

#[test]
fn a_loss_of_power_takes_all_or_nothing() {
    let scratch = Scratch::new();
    let root = scratch.path().join("images");
    let store = Store::open(&root).expect("a store");
    let upper = whole(&scratch, "base", "one");
    let base = store.adopt_layer(&upper, &[]).and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let borrower = borrow(&store, &scratch, &base, "changed");
    let image = image(&store, std::slice::from_ref(&borrower), "borrower");
    let expected = tar(&borrower);
    store.settle();
    drop((base, borrower, store));
    lose_power(&root);
    let store = Store::open(&root).expect("the store again");
    let layer = store.layers(&image).expect("its layer").remove(0);
    assert!(tar(&layer) == expected);
    assert!(!layer.has_base(), "it was made whole");
    assert_eq!(on_disk(&store), 1, "nobody needs the base any more");
    let base = store.adopt_layer(&whole(&scratch, "base", "one"), &[]);
    let base = base.and_then(berth_images::AdoptedLayer::finish).expect("a layer");
    let again = borrow(&store, &scratch, &base, "changed otherwise");
    let second = self::image(&store, std::slice::from_ref(&again), "again");
    let damaged = base.directory().join("files/b");
    store.settle();
    drop((layer, base, again, store));
    fs::write(damaged, "bad").expect("damaged");
    lose_power(&root);
    let store = Store::open(&root).expect("the store again");
    assert!(store.image(&second.id).is_err(), "its base is damaged");
    assert!(store.image(&image.id).is_ok());
    assert_eq!(on_disk(&store), 1);
}
