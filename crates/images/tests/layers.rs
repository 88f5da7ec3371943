//! Containers' changes: committed, listed, exported, measured. The kernel's overlay is the judge.
//! Needs root.

mod support;

use std::path::PathBuf;

use berth_images::{
    ChangeKind, CommitRequest, ImportOptions, Store, TreeSize, changes, export, tree_size,
    tree_size_with_inodes,
};
use support::{Archive, Scratch, overlay};

const SCRIPT: &str = "rm etc/gone; echo new > etc/new; echo longer > etc/kept; rm -r d; mkdir d; echo n > d/new; \
    mkdir d/sub; echo s > d/sub/new; rm -r todir; mkdir todir; rm -r tofile; echo f > tofile; ln -s kept etc/link; \
    ln etc/new etc/hard; mknod dev c 1 3; mkfifo pipe; chmod 1777 tmp; chown 7:8 etc/kept; \
    truncate -s 1M sparse; printf x | dd of=sparse bs=1 seek=900000 conv=notrunc 2>/dev/null; \
    touch -d @1000000000.5 etc/kept; rm etc/quiet; mkdir etc/quiet; \
    mkdir -p mnt/volume; : > etc/hosts";

fn base() -> Vec<u8> {
    let mut archive = Archive::new();
    for directory in ["etc", "d", "d/sub", "todir.d", "tofile", "tmp"] {
        archive = archive.directory(directory, 0o755);
    }
    for file in ["etc/gone", "etc/kept", "etc/quiet", "d/old", "d/sub/old", "todir", "tofile/x", "etc/same"] {
        archive = archive.file(file, file.as_bytes());
    }
    archive.finish()
}

struct Container {
    scratch: Scratch,
    store: Store,
    image: berth_images::Image,
    lowers: Vec<PathBuf>,
    upper: PathBuf,
}

fn container() -> Container {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let options = ImportOptions { source: "-".to_owned(), ..ImportOptions::default() };
    let image = store.import(&base()[..], &options).expect("an image");
    let lowers = store.lower_directories(&image);
    let upper = overlay::run(scratch.path(), "container", &lowers, SCRIPT);
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::lsetxattr(upper.join("etc/new"), "user.note", b"hello", flags).expect("an attribute");
    Container { scratch, store, image, lowers, upper }
}

impl Container {
    fn view(&self) -> Vec<PathBuf> {
        std::iter::once(self.upper.clone()).chain(self.lowers.clone()).collect()
    }
}

fn note(layer: &std::path::Path) -> [u8; 5] {
    let mut note = [0; 5];
    rustix::fs::lgetxattr(layer.join("etc/new"), "user.note", &mut note).expect("the attribute");
    note
}

#[test]
fn a_commit_shows_exactly_what_the_container_had_also_after_save_and_load() {
    let container = container();
    let before = overlay::listing(container.scratch.path(), "before", &container.view());
    let request = CommitRequest {
        parent: &container.image,
        upper: &container.upper,
        mount_points: &[],
        config: berth_images::document::Config::default(),
        container_config: berth_images::document::Config::default(),
        container: "c".repeat(64),
        author: "me".to_owned(),
        comment: "why".to_owned(),
        engine_version: "1".to_owned(),
        reference: None,
    };
    let image = container.store.commit(&request).expect("an image");
    assert_eq!(image.parent, Some(container.image.id));
    let after =
        overlay::listing(container.scratch.path(), "after", &container.store.lower_directories(&image));
    support::assert_same_lines(&before, &after);
    assert_eq!(note(&container.store.lower_directories(&image)[0]), *b"hello");

    let mut saved = Vec::new();
    let id = image.id.hexadecimal();
    container.store.save(&[&id]).expect("saved").write(&mut saved).expect("written");
    let other = Store::open(container.scratch.path().join("other")).expect("a store");
    other.load(&saved[..]).expect("loaded");
    let loaded = other.resolve(&id).expect("the image");
    assert_eq!(note(&other.lower_directories(&loaded)[0]), *b"hello");
    let moved = overlay::listing(container.scratch.path(), "moved", &other.lower_directories(&loaded));
    support::assert_same_lines(&before, &moved);
}

#[test]
fn an_adopted_layer_is_the_same_layer() {
    let container = container();
    let copied = container.store.copy_layer(&container.upper, &container.lowers).expect("a layer");
    let before = overlay::listing(container.scratch.path(), "before", &container.view());
    let adopted = container.store.adopt_layer(&container.upper, &container.lowers).expect("adopted");
    assert!(!container.upper.exists());
    let mut view = vec![adopted.directory()];
    view.extend(container.lowers.clone());
    let after = overlay::listing(container.scratch.path(), "after", &view);
    support::assert_same_lines(&before, &after);
    let adopted = adopted.finish().expect("a layer");
    assert_eq!(adopted.diff_id(), copied.diff_id());
    let (mut one, mut other) = (Vec::new(), Vec::new());
    copied.write_tar(&mut one).expect("its tar");
    adopted.write_tar(&mut other).expect("its tar");
    assert!(one == other && one.len() as u64 == copied.tar_size());
}

#[test]
fn changes_are_listed_by_path_with_their_kind() {
    let container = container();
    let mounts = [PathBuf::from("/etc/hosts"), PathBuf::from("/mnt/volume")];
    let found = changes(&container.upper, &container.lowers, &mounts).expect("changes");
    let found: Vec<(String, ChangeKind)> =
        found.into_iter().map(|change| (change.path, change.kind)).collect();
    use ChangeKind::{Added, Deleted, Modified};
    let expected = [
        ("/d", Modified),
        ("/d/new", Added),
        ("/d/old", Deleted),
        ("/d/sub", Modified),
        ("/d/sub/new", Added),
        ("/d/sub/old", Deleted),
        ("/dev", Added),
        ("/etc", Modified),
        ("/etc/gone", Deleted),
        ("/etc/hard", Added),
        ("/etc/kept", Modified),
        ("/etc/link", Added),
        ("/etc/new", Added),
        ("/etc/quiet", Modified),
        ("/pipe", Added),
        ("/sparse", Added),
        ("/tmp", Modified),
        ("/todir", Modified),
        ("/tofile", Modified),
    ];
    let expected: Vec<(String, ChangeKind)> = expected.map(|(path, kind)| (path.to_owned(), kind)).into();
    assert_eq!(found, expected);
}

#[test]
fn opening_a_file_without_writing_is_no_change() {
    let container = container();
    let upper = overlay::run(
        container.scratch.path(),
        "idle",
        &container.lowers,
        ": >> etc/same; touch -r etc/same etc/same",
    );
    assert!(upper.join("etc/same").exists(), "overlay copied it up");
    let found = changes(&upper, &container.lowers, &[]).expect("changes");
    assert_eq!(found, []);
}

#[test]
fn an_export_unpacks_to_the_same_tree() {
    let container = container();
    let mut tar = Vec::new();
    let size = export(&container.view(), &mut tar).expect("exported");
    assert_eq!(size, tar.len() as u64);
    assert!(size < 500_000, "the sparse file's holes are left out");
    let archive = container.scratch.path().join("export.tar");
    std::fs::write(&archive, &tar).expect("written");
    let target = container.scratch.path().join("target");
    std::fs::create_dir(&target).expect("a directory");
    let status = std::process::Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&archive)
        .arg("-C")
        .arg(&target)
        .status();
    assert!(status.expect("GNU tar").success());
    assert_eq!(note(&target), *b"hello");
    let before = overlay::listing(container.scratch.path(), "before", &container.view());
    let empty = container.scratch.path().join("empty");
    std::fs::create_dir(&empty).expect("a directory");
    let after = overlay::listing(container.scratch.path(), "after", &[target, empty]);
    support::assert_same_lines(&before, &after);
}

#[test]
fn a_container_s_size_counts_its_files_once() {
    let container = container();
    let bytes = "new\n".len() + "longer\n".len() + "n\n".len() + "s\n".len() + "f\n".len() + (1 << 20);
    assert_eq!(tree_size(&container.upper).expect("measured"), bytes as u64);
}

#[test]
fn a_trees_inodes_are_counted_once() {
    let scratch = Scratch::new();
    let root = scratch.path().join("root");
    std::fs::create_dir_all(root.join("inside")).expect("directories");
    std::fs::write(root.join("file"), "four").expect("a file");
    std::fs::hard_link(root.join("file"), root.join("inside/again")).expect("its second name");
    std::os::unix::fs::symlink("file", root.join("link")).expect("a link");
    // The root, the directory in it, the file and the link.
    assert_eq!(tree_size_with_inodes(&root).expect("measured"), TreeSize { bytes: 4, inodes: 4 });
}
