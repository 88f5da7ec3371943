//! Files of containers by their paths, on a mounted view. Needs root.

mod support;

use std::path::PathBuf;

use berth_images::paths::{
    self, BindView, FileKind, PathError, Placement, Purpose, View, ViewRequest, ViewSource,
};
use berth_images::{ArchiveError, ImportOptions, Overwrite, Store};
use model::ErrorKind;
use support::{Archive, Scratch};

struct Fixture {
    scratch: Scratch,
    view: View,
    request: ViewRequest,
}

fn fixture() -> Fixture {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let archive = Archive::new()
        .directory("etc", 0o755)
        .file("etc/hostname", b"inside\n")
        .directory("tmp", 0o1777)
        .directory("root", 0o700)
        .directory("w", 0o755)
        .directory("w/d", 0o755)
        .directory("w/d/sub", 0o1777)
        .file("w/d/f", b"one\n")
        .file("w/d/sub/g", b"deep\n")
        .file_of("w/file", b"top\n", 0o640, 0)
        .file_of("w/suid", b"x", 0o4755, 0)
        .symlink("w/lnk", "file")
        .symlink("w/dlnk", "/w/d")
        .symlink("w/esc", "../../../../../../etc/hostname")
        .symlink("w/dangling", "/nowhere")
        .symlink("w/loop", "loop")
        .symlink("up", "../../../../../../../")
        .device("w/null", 1, 3)
        .finish();
    let image = store.import(&archive[..], &ImportOptions::default()).expect("an image");
    let directory = |name: &str| {
        let path = scratch.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        path
    };
    let (volume, read_only) = (directory("volume"), directory("ro"));
    std::fs::write(volume.join("v"), "volume").expect("written");
    let bind = |source: &PathBuf, target: &str, read_only| BindView {
        source: ViewSource::Path(source.clone()),
        target: target.into(),
        read_only,
    };
    let request = ViewRequest {
        lowers: store.lower_directories(&image),
        upper: directory("container/upper"),
        work: directory("container/work"),
        purpose: Purpose::Writing,
        binds: vec![bind(&volume, "/mnt/vol", false), bind(&read_only, "/ro", true)],
        read_only: false,
    };
    let view = View::mounted(&request).expect("a view");
    Fixture { scratch, view, request }
}

impl Fixture {
    fn names(&self, path: &str) -> Vec<String> {
        let mut tar = Vec::new();
        paths::fetch(self.view.root(), path).expect(path).write(&mut tar, None).expect("written");
        let mut archive = tar::Archive::new(&tar[..]);
        let names = archive
            .entries()
            .expect("a tar")
            .map(|entry| String::from_utf8_lossy(&entry.expect("an entry").path_bytes()).into_owned());
        names.collect()
    }

    fn put(&self, path: &str, archive: Archive, overwrite: Overwrite) -> Result<(), PathError> {
        paths::put(self.view.root(), path, &archive.finish()[..], Placement::of_root(overwrite)).map(drop)
    }

    fn read(&self, path: &str) -> String {
        let mut tar = Vec::new();
        paths::fetch(self.view.root(), path).expect(path).write(&mut tar, None).expect("written");
        let mut archive = tar::Archive::new(&tar[..]);
        let mut entry = archive.entries().expect("a tar").next().expect("an entry").expect("an entry");
        std::io::read_to_string(&mut entry).expect("its content")
    }
}

#[test]
fn stat_shows_links_themselves_and_where_they_lead() {
    let fixture = fixture();
    let stat = |path: &str| paths::stat(fixture.view.root(), path);
    let file = stat("/w/file").expect("it");
    assert_eq!((file.name.as_str(), file.size, file.link_target), ("file", 4, None));
    assert_eq!(file.modified.unix_seconds(), 1_111_111_111);
    for (path, kind, permissions) in [
        ("/w/file", FileKind::File, 0o640),
        ("/w/d", FileKind::Directory, 0o755),
        ("/w/suid", FileKind::File, 0o4755),
        ("/w/d/sub", FileKind::Directory, 0o1777),
        ("/w/null", FileKind::CharacterDevice, 0o666),
        ("/root", FileKind::Directory, 0o700),
    ] {
        let found = stat(path).expect(path);
        assert_eq!((found.kind, found.permissions), (kind, permissions), "{path}");
    }
    for (path, target) in
        [("/w/lnk", "/w/file"), ("/w/dlnk", "/w/d"), ("/w/esc", "/etc/hostname"), ("/w/dangling", "/nowhere")]
    {
        let link = stat(path).expect(path);
        assert_eq!((link.kind, link.link_target.as_deref()), (FileKind::Symlink, Some(target)), "{path}");
    }
    assert_eq!(stat("/w/dlnk/").expect("it").name, "dlnk");
    assert_eq!(stat("/w/dlnk/.").expect("it").name, ".");
    for (path, kind) in [
        ("/no/such", ErrorKind::NotFound),
        ("/w/dangling/", ErrorKind::NotFound),
        ("/w/file/", ErrorKind::Invalid),
        ("/w/file/.", ErrorKind::Invalid),
        ("/w/file/x", ErrorKind::Invalid),
        ("/w/loop", ErrorKind::Invalid),
        ("/w\0", ErrorKind::Invalid),
    ] {
        assert_eq!(stat(path).expect_err(path).kind(), kind, "{path:?}");
    }
}

#[test]
fn fetch_names_entries_by_the_last_name_and_stays_inside() {
    let fixture = fixture();
    let tree = ["d/", "d/f", "d/sub/", "d/sub/g"];
    for path in ["/w/d", "/w/d/", "w/d"] {
        assert_eq!(fixture.names(path), tree, "{path}");
    }
    assert_eq!(fixture.names("/w/dlnk/"), ["dlnk/", "dlnk/f", "dlnk/sub/", "dlnk/sub/g"]);
    assert_eq!(fixture.names("/w/dlnk/."), ["./", "./f", "./sub/", "./sub/g"]);
    assert_eq!(fixture.names("/w/lnk"), ["lnk"]);
    assert_eq!(fixture.read("/w/dlnk/f"), "one\n");
    for path in ["/../../../etc/hostname", "/up/etc/hostname", "../../etc/hostname"] {
        assert_eq!(fixture.read(path), "inside\n", "{path}");
    }
    let secret = fixture.scratch.path().join("secret");
    std::fs::write(&secret, "host").expect("written");
    let outside = format!("/up{}", secret.display());
    assert_eq!(paths::fetch(fixture.view.root(), &outside).expect_err("outside").kind(), ErrorKind::NotFound);
    assert_eq!(fixture.read("/mnt/vol/v"), "volume");
}

#[test]
fn put_replaces_what_it_may_and_writes_nowhere_else() {
    let fixture = fixture();
    let any = Overwrite::Anything;
    fixture.put("/tmp", Archive::new().file_of("a", b"new", 0o640, 1234), any).expect("put");
    let upper = fixture.request.upper.join("tmp/a");
    let owner = std::os::unix::fs::MetadataExt::uid(&upper.metadata().expect("written to the upper layer"));
    assert_eq!(owner, 0);
    fixture.put("/up", Archive::new().file("b", b"B"), any).expect("put");
    assert_eq!(fixture.read("/b"), "B");
    fixture.put("/mnt/vol", Archive::new().file("c", b"C"), any).expect("put");
    assert_eq!(std::fs::read_to_string(fixture.scratch.path().join("volume/c")).expect("it"), "C");

    let kind = |path: &str, archive, overwrite| fixture.put(path, archive, overwrite).expect_err(path).kind();
    assert_eq!(kind("/no/such", Archive::new().file("a", b""), any), ErrorKind::NotFound);
    assert_eq!(kind("/w/file", Archive::new().file("a", b""), any), ErrorKind::Invalid);
    assert_eq!(kind("/ro", Archive::new().file("a", b""), any), ErrorKind::Forbidden);
    assert_eq!(kind("/", Archive::new().file("ro/a", b""), any), ErrorKind::Forbidden);
    assert_eq!(std::fs::read_dir(fixture.scratch.path().join("ro")).expect("it").count(), 0);
    let same = Overwrite::SameSort;
    let error = fixture.put("/w", Archive::new().file("d", b"now a file"), same).expect_err("a directory");
    assert_eq!(error.to_string(), "cannot overwrite directory \"/d\" with non-directory \"/d\"");
    let error = fixture.put("/w", Archive::new().directory("file", 0o755), same).expect_err("a file");
    assert_eq!(error.to_string(), "cannot overwrite non-directory \"/file\" with directory \"/file\"");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    fixture.put("/w", Archive::new().file("file", b"z"), same).expect("a file for a file");
    assert_eq!(fixture.read("/w/d/f"), "one\n");
    fixture.put("/w", Archive::new().file("d", b"now a file").directory("file", 0o755), any).expect("put");
    assert_eq!(fixture.read("/w/d"), "now a file");

    let error = paths::put(fixture.view.root(), "/tmp", &b"no tar".repeat(200)[..], Placement::of_root(any))
        .expect_err("garbage");
    assert!(matches!(error, PathError::Archive(ArchiveError::Header { .. })), "{error}");
}

#[test]
fn a_read_only_root_is_forbidden_but_its_volumes_are_not() {
    let fixture = fixture();
    let request = ViewRequest { read_only: true, ..fixture.request.clone() };
    drop(fixture.view);
    let view = View::mounted(&request).expect("a view");
    let put = |path: &str| {
        let any = Placement::of_root(Overwrite::Anything);
        paths::put(view.root(), path, &Archive::new().file("a", b"A").finish()[..], any)
    };
    assert_eq!(put("/tmp").expect_err("read-only").kind(), ErrorKind::Forbidden);
    put("/mnt/vol").expect("a volume");
    drop(view);
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains("container/upper"), "the host has no mount left");
}
