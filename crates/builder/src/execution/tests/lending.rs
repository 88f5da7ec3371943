//! Copies of nearly the same files: the layer of the first lends the next ones what has not changed, without a visible
//! difference.

use std::fs;
use std::path::Path;

use images::{Image, Layer};

use crate::Order;
use crate::fixture::{Archive, Fixture, context};

const DOCKERFILE: &str = "FROM base\nCOPY d /files\n";
const FILES: usize = 300;

/// A directory of many files; `content` gives what each has, if it is there at all.
fn directory(content: impl Fn(usize) -> Option<String>) -> Archive {
    let mut archive = context(DOCKERFILE).directory("d/");
    for part in 0..3 {
        archive = archive.directory(&format!("d/{part}/"));
        for number in (part..FILES).step_by(3) {
            if let Some(content) = content(number) {
                archive = archive.file(&format!("d/{part}/f{number}"), content);
            }
        }
    }
    archive.symlink("d/link", "0/f0").file("d/large", vec![7; 100_000])
}

fn whole(number: usize) -> Option<String> {
    Some(format!("content {number}"))
}

fn one_changed(number: usize) -> Option<String> {
    Some(if number == 7 { "another".to_owned() } else { format!("content {number}") })
}

fn build(fixture: &Fixture, archive: Archive) -> (Image, Layer) {
    let built = fixture.build_with(archive, |request| request.order = Order::Graph);
    let image = built.result.unwrap_or_else(|error| panic!("{error}"));
    let image = fixture.store.image(&image).expect("an image");
    let layer = fixture.store.layers(&image).expect("its layers").pop().expect("the copy");
    (image, layer)
}

fn tar(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("its tar");
    assert_eq!(images::digest_of(&tar), layer.diff_id());
    tar
}

/// How many regular files a directory has.
fn count(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let count = |entry: fs::DirEntry| match entry.file_type().expect("a type") {
        kind if kind.is_dir() => count(&entry.path()),
        kind => usize::from(kind.is_file()),
    };
    entries.map(count).sum()
}

/// Builds what is given after the whole directory, and alone: both must be the same. Gives how many files the layer has
/// itself, if it borrows others.
fn compare(what: &str, changed: fn() -> Archive) -> Option<usize> {
    let fixture = Fixture::new();
    build(&fixture, directory(whole));
    let (image, layer) = build(&fixture, changed());
    let alone = Fixture::new();
    let (image_alone, layer_alone) = build(&alone, changed());
    assert!(!layer_alone.has_base(), "{what}");
    assert!(tar(&layer) == tar(&layer_alone), "{what}: not the same tar");
    assert_eq!(layer.size(), layer_alone.size(), "{what}");
    assert_eq!(fixture.files(&image), alone.files(&image_alone), "{what}");
    layer.has_base().then(|| count(&layer.directory()))
}

#[test]
fn a_layer_has_only_what_has_changed() {
    assert_eq!(compare("a content", || directory(one_changed)), Some(1));
    assert_eq!(
        compare("a mode", || directory(|n| whole(n).filter(|_| n != 5)).file_of(
            "d/2/f5",
            "content 5",
            0o755,
            0,
            0
        )),
        Some(1)
    );
    assert_eq!(compare("a new file", || directory(whole).file("d/0/new", "")), Some(1));
    assert_eq!(compare("a new directory", || directory(whole).directory("d/n/").file("d/n/f", "1")), Some(1));
    let symlink = || directory(|number| whole(number).filter(|_| number != 6)).symlink("d/0/f6", "f3");
    assert_eq!(compare("a symlink in the place of a file", symlink), Some(0));
    assert_eq!(
        compare("half of them", || directory(|n| whole(n).map(|text| if n < 40 {
            format!("{text}!")
        } else {
            text
        }))),
        Some(40)
    );
}

#[test]
fn a_layer_that_would_show_what_is_gone_is_whole() {
    let without = || directory(|number| whole(number).filter(|_| number != 5));
    assert_eq!(compare("a file is gone", without), None);
    assert_eq!(
        compare("a directory in its place", || directory(|n| whole(n).filter(|_| n != 5))
            .directory("d/2/f5/")),
        None
    );
    let file_for_directory = || {
        let files = directory(|number| whole(number).filter(|_| number % 3 != 1));
        files.file("d/other", "x")
    };
    assert_eq!(compare("files of a directory are gone", file_for_directory), None);
    assert_eq!(
        compare("nearly all are new", || directory(|n| whole(n).map(|text| format!("{text}!")))),
        None
    );
}

#[test]
fn every_copy_borrows_from_the_whole_one() {
    let fixture = Fixture::new();
    let (_, first) = build(&fixture, directory(whole));
    for round in 1..4 {
        let archive =
            directory(|n| Some(if n < round { format!("{round}") } else { format!("content {n}") }));
        let (image, layer) = build(&fixture, archive);
        assert_eq!(layer.directories(), [layer.directory(), first.directory()]);
        assert_eq!(count(&layer.directory()), round);
        assert_eq!(fixture.read(&image, "files/0/f0"), round.to_string());
        assert_eq!(fixture.read(&image, "files/1/f4"), "content 4");
    }
    let (_, again) = build(&fixture, directory(whole));
    assert_eq!(again.diff_id(), first.diff_id());
}

#[test]
fn steps_go_on_above_a_layer_that_borrows() {
    let more =
        "FROM base AS one\nCOPY d /files\nFROM one\nCOPY --from=one /files/1 /copied\nRUN echo 1 > /x\n";
    let last = |content: fn(usize) -> Option<String>| {
        let mut archive = Archive::new().file("Dockerfile", more);
        for number in 0..FILES {
            archive =
                archive.file(&format!("d/{}/f{number}", number % 3), content(number).expect("a content"));
        }
        archive
    };
    let (fixture, alone) = (Fixture::new(), Fixture::new());
    build(&fixture, last(whole));
    let (image, _) = build(&fixture, last(one_changed));
    let (image_alone, _) = build(&alone, last(one_changed));
    assert!(fixture.store.layers(&image).expect("layers").iter().any(Layer::has_base));
    assert_eq!(fixture.files(&image), alone.files(&image_alone));
    assert_eq!(fixture.read(&image, "copied/f7"), "another");
}
