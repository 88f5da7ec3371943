//! Archives that mean harm: each gives a clear error or harmless files, and nothing outside.
//! Needs root.

mod support;

use std::io::Read;
use std::os::fd::AsFd;

use berth_images::{ArchiveError, Error, Overwrite, Store, unpack};
use support::{Archive, Scratch};

/// Unpacks an archive into a store and into a plain directory; both must agree, and nothing
/// may appear beside them.
fn both(archive: &[u8]) -> (Scratch, Store, Result<berth_images::Layer, Error>, Result<(), ArchiveError>) {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let layer = store.unpack_layer(archive);
    let target = scratch.path().join("target");
    std::fs::create_dir(&target).expect("a directory");
    let root = std::fs::File::open(&target).expect("it");
    let unpacked = unpack(root.as_fd(), archive, Overwrite::Anything).map(drop);
    let mut names: Vec<_> =
        std::fs::read_dir(scratch.path()).expect("it").map(|name| name.expect("it").file_name()).collect();
    names.sort();
    assert_eq!(names, ["images", "target"], "something was written beside the root");
    assert_eq!(std::fs::read_dir(store.root().join("temporary")).expect("it").count(), 0);
    (scratch, store, layer, unpacked)
}

fn refused(what: &str, archive: &[u8]) -> String {
    let (_scratch, store, layer, unpacked) = both(archive);
    let error = layer.expect_err(what);
    assert!(unpacked.is_err(), "{what}");
    assert_eq!(std::fs::read_dir(store.root().join("layers")).expect("it").count(), 0, "{what}");
    error.to_string()
}

#[test]
fn names_that_climb_are_refused_or_stay_inside() {
    for name in ["../evil", "a/../../evil", "/../evil", "./../evil"] {
        let error = refused(name, &Archive::new().file(name, b"x").finish());
        assert!(error.contains("leads out of its root"), "{error}");
    }
    let archive =
        Archive::new().file("/absolute", b"x").file("a/../inside", b"y").file("./dot", b"z").finish();
    let (_scratch, _, layer, unpacked) = both(&archive);
    unpacked.expect("unpacked");
    let layer = layer.expect("a layer");
    let files = layer.directory();
    for (name, content) in [("absolute", b"x"), ("inside", b"y"), ("dot", b"z")] {
        assert_eq!(std::fs::read(files.join(name)).expect(name), content);
    }
}

#[test]
fn links_lead_nowhere_outside() {
    let scratch = Scratch::new();
    let outside = scratch.path().join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("secret"), "secret").expect("written");
    let target = outside.display().to_string();
    for link in [target.clone(), "../../../outside".to_owned(), "/".to_owned()] {
        let through = if link == "/" { format!("out{target}/new") } else { "out/new".to_owned() };
        let (_scratch, _, layer, unpacked) =
            both(&Archive::new().symlink("out", &link).file(&through, b"x").finish());
        assert_eq!(layer.is_ok(), unpacked.is_ok());
        assert!(!outside.join("new").exists(), "{link}");
    }
    for target in [format!("{target}/secret"), "../../outside/secret".to_owned(), "/etc/passwd".to_owned()] {
        let error = refused("a hard link", &Archive::new().hard_link("h", &target).finish());
        assert!(error.contains("no such file") || error.contains("leads out"), "{error}");
    }
    let linked = Archive::new().symlink("l", &target).hard_link("h", "l/secret").finish();
    assert!(refused("a hard link through a link", &linked).contains("no such file"));
    let circle = Archive::new().symlink("a", "b").symlink("b", "a").file("a/x", b"").finish();
    refused("a circle of links", &circle);
    let replaced = Archive::new().symlink("f", &format!("{target}/secret")).file("f", b"new").finish();
    let (_scratch, _, layer, _) = both(&replaced);
    assert_eq!(std::fs::read(layer.expect("a layer").directory().join("f")).expect("a file"), b"new");
    assert_eq!(std::fs::read(outside.join("secret")).expect("it"), b"secret");
}

#[test]
fn later_entries_replace_earlier_ones_and_the_tar_comes_back_all_the_same() {
    let archive = Archive::new()
        .file("f", b"first")
        .directory("d", 0o700)
        .file("d/x", b"below")
        .hard_link("kept", "d/x")
        .symlink("s", "d")
        .file("s/y", b"through a link")
        .file("f", b"second, longer")
        .file("d/y", b"again")
        .file("d", b"a file now")
        .directory("f", 0o711)
        .file("f/z", b"deep")
        .finish();
    let (_scratch, _, layer, unpacked) = both(&archive);
    unpacked.expect("unpacked");
    let layer = layer.expect("a layer");
    let files = layer.directory();
    assert_eq!(std::fs::read(files.join("d")).expect("d"), b"a file now");
    assert_eq!(std::fs::read(files.join("f/z")).expect("f/z"), b"deep");
    assert_eq!(std::fs::read(files.join("kept")).expect("kept"), b"below");
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("the tar");
    assert!(tar == archive, "the tar differs");
}

#[test]
fn order_does_not_matter() {
    let archive = Archive::new()
        .hard_link("a/link", "b/file")
        .file("b/file", b"content")
        .directory("b", 0o1777)
        .directory("a", 0o750)
        .finish();
    let (_scratch, _, layer, unpacked) = both(&archive);
    unpacked.expect("unpacked");
    let layer = layer.expect("a layer");
    let files = layer.directory();
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&files.join(name).metadata().expect(name));
    assert_eq!(inode("a/link"), inode("b/file"));
    let mode = std::os::unix::fs::MetadataExt::mode(&files.join("b").metadata().expect("b"));
    let time = std::os::unix::fs::MetadataExt::mtime(&files.join("b").metadata().expect("b"));
    assert_eq!((mode & 0o7777, time), (0o1777, 1_111_111_111));
}

#[test]
fn attributes_of_overlay_are_not_for_archives() {
    let archive = Archive::new()
        .extensions(&[
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.fine", b"1"),
        ])
        .directory("d", 0o755)
        .finish();
    let (_scratch, _, layer, _) = both(&archive);
    let layer = layer.expect("a layer");
    let directory = layer.directory().join("d");
    let mut value = [0; 8];
    assert_eq!(rustix::fs::lgetxattr(&directory, "user.fine", &mut value), Ok(1));
    for name in ["trusted.overlay.redirect", "trusted.overlay.opaque"] {
        assert_eq!(
            rustix::fs::lgetxattr(&directory, name, &mut value),
            Err(rustix::io::Errno::NODATA),
            "{name}"
        );
    }
}

#[test]
fn whiteouts_hide_or_do_nothing() {
    let archive = Archive::new()
        .file(".wh.nothing", b"")
        .file("d/.wh..wh..opq", b"")
        .file("d/new", b"n")
        .file("e/.wh.x", b"")
        .file("e/x", b"came back")
        .file(".wh.", b"")
        .file(".wh...", b"")
        .file(".wh..", b"")
        .file(".wh..wh.plnk/1.2", b"aufs")
        .directory("again", 0o755)
        .file(".wh.again", b"")
        .finish();
    let (_scratch, _, layer, _) = both(&archive);
    let layer = layer.expect("a layer");
    let files = layer.directory();
    let opaque = |name: &str| {
        let mut value = [0; 1];
        rustix::fs::lgetxattr(files.join(name), "trusted.overlay.opaque", &mut value).is_ok()
    };
    assert!(opaque("d") && opaque("again") && !opaque("e"));
    assert_eq!(std::fs::read(files.join("e/x")).expect("e/x"), b"came back");
    let hidden = rustix::fs::lstat(files.join("nothing")).expect("a whiteout");
    assert_eq!((hidden.st_rdev, hidden.st_mode & 0o170_000), (0, 0o020_000));
    let names = std::fs::read_dir(&files).expect("it").count();
    assert_eq!(names, 4, "nothing, d, e, again");
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("the tar");
    assert!(tar == archive, "the tar differs");
}

#[test]
fn bad_utf8_deep_paths_and_long_names() {
    let mut archive = Archive::new();
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..5].copy_from_slice(b"b\xff\xfe\x80d");
    header.set_size(0);
    header.set_mode(0o644);
    archive.raw(header, "", b"");
    let deep = "d/".repeat(1_500) + "f";
    let long = "n".repeat(255);
    let archive = archive.file(&deep, b"deep").file(&long, b"long").finish();
    let (_scratch, _, layer, unpacked) = both(&archive);
    unpacked.expect("unpacked");
    let layer = layer.expect("a layer");
    assert_eq!(std::fs::read(layer.directory().join(&long)).expect("it"), b"long");
    assert_eq!(std::fs::read(layer.directory().join(&deep)).expect("it"), b"deep");
    assert_eq!(std::fs::read_dir(layer.directory()).expect("it").count(), 3);
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("the tar");
    assert!(tar == archive, "the tar differs");

    let too_deep =
        Archive::new().extensions(&[("path", "d/".repeat(3_000).as_bytes())]).directory("x", 0o755);
    assert!(refused("too deep", &too_deep.finish()).contains("bytes in a path"));
    let too_long = Archive::new().extensions(&[("path", "n".repeat(300).as_bytes())]).file("x", b"");
    refused("too long a name", &too_long.finish());
}

#[test]
fn malformed_archives_are_refused_with_the_place() {
    let good = Archive::new().file("f", &support::noise(5_000)).finish();
    for cut in [1, 100, 511, 513, 700, 4_000] {
        refused("cut off", &good[..cut]);
    }
    let mut checksum = good.clone();
    checksum[0] ^= 1;
    assert!(refused("a wrong checksum", &checksum).contains("at byte 0"));
    for records in [
        &[("size", &b"99999999999999999999999"[..])][..],
        &[("size", b"-1")],
        &[("path", b"a\0b")],
        &[("mtime", b"soon")],
        &[("uid", b"4294967296")],
        &[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10")],
        &[("GNU.sparse.size", b"100"), ("GNU.sparse.map", b"0,10,5,10")],
        &[("GNU.sparse.size", b"18446744073709551615"), ("GNU.sparse.map", b"18446744073709551615,1")],
    ] {
        refused(
            &format!("{records:?}"),
            &Archive::new().extensions(records).file("f", b"0123456789").finish(),
        );
    }
    let huge = vec![b'x'; 2 << 20];
    let long_record = Archive::new().extensions(&[("comment", &huge)]).file("f", b"").finish();
    assert!(refused("a huge header", &long_record).contains("extended header"));
}

#[test]
fn a_huge_sparse_file_takes_no_space_and_a_flood_is_stopped() {
    let size = (1_u64 << 40).to_string();
    let archive = Archive::new()
        .extensions(&[("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", b"1099511627770,6")])
        .file("sparse", b"at end")
        .finish();
    let (_scratch, _, layer, _) = both(&archive);
    let layer = layer.expect("a layer");
    let found = rustix::fs::stat(layer.directory().join("sparse")).expect("it");
    assert_eq!(found.st_size, 1 << 40);
    assert!(found.st_blocks < 100);
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("the tar");
    assert!(tar == archive, "the tar differs");

    // An entry whose size is larger than all space there is fails before anything is written.
    let flood = Archive::new().extensions(&[("size", b"9000000000000000000")]).file("f", b"x").finish();
    assert!(refused("a flood", &flood).contains("as much as is free"));
}

#[test]
fn every_sparse_format_of_gnu_tar_is_read() {
    let scratch = Scratch::new();
    let source = std::fs::File::create(scratch.path().join("sparse")).expect("a file");
    source.set_len(3 << 20).expect("a hole");
    // More extents than an old header holds.
    for piece in 0..40_u64 {
        std::os::unix::fs::FileExt::write_all_at(&source, &support::noise(5_000), piece * 70_000)
            .expect("data");
    }
    let content = std::fs::read(scratch.path().join("sparse")).expect("it");
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let tar = std::process::Command::new("tar")
            .args(format)
            .args(["--sparse", "-cf", "-", "-C"])
            .arg(scratch.path())
            .arg("sparse")
            .output()
            .expect("GNU tar");
        assert!(tar.stdout.len() < 1 << 20, "{format:?} is sparse");
        let (_scratch, _, layer, unpacked) = both(&tar.stdout);
        unpacked.expect("unpacked");
        let layer = layer.expect("a layer");
        assert!(std::fs::read(layer.directory().join("sparse")).expect("it") == content, "{format:?}");
        let mut again = Vec::new();
        layer.write_tar(&mut again).expect("the tar");
        assert!(again == tar.stdout, "{format:?}");
    }
}

#[test]
fn a_decompression_bomb_of_trailing_zeros_ends() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path()).expect("a store");
    let zeros = std::io::repeat(0).take(200 << 20);
    let bomb = Archive::new().file("f", b"x").finish();
    let error = store.unpack_layer((&bomb[..]).chain(zeros)).expect_err("too many zeros");
    assert!(error.to_string().contains("after the end"), "{error}");
}

#[test]
fn devices_and_special_bits_are_kept() {
    let archive = Archive::new().device("null", 1, 3).file_of("suid", b"x", 0o6755, 1000).finish();
    let (_scratch, _, layer, _) = both(&archive);
    let layer = layer.expect("a layer");
    let files = layer.directory();
    let stat = |name: &str| rustix::fs::lstat(files.join(name)).expect(name);
    assert_eq!(stat("null").st_rdev, rustix::fs::makedev(1, 3));
    assert_eq!(stat("null").st_mode & 0o7777, 0o666);
    assert_eq!((stat("suid").st_mode & 0o7777, stat("suid").st_uid), (0o6755, 1000));
}

#[test]
fn an_archive_without_a_byte_is_an_empty_layer() {
    let gzip = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (what, archive) in [("nothing", &b""[..]), ("gzip of nothing", &gzip), ("an end alone", &[0; 1024])] {
        let (_scratch, _, layer, unpacked) = both(archive);
        unpacked.expect(what);
        let layer = layer.expect(what);
        assert_eq!(std::fs::read_dir(layer.directory()).expect("it").count(), 0, "{what}");
    }
}

#[test]
fn hard_links_into_the_directory_of_aufs_are_files() {
    let archive = Archive::new()
        .directory(".wh..wh.plnk", 0o700)
        .file_of(".wh..wh.plnk/77.5", b"shared", 0o640, 3)
        .hard_link("a", ".wh..wh.plnk/77.5")
        .hard_link("d/b", ".wh..wh.plnk/77.5")
        .finish();
    let (_scratch, _, layer, _) = both(&archive);
    let layer = layer.expect("a layer");
    let stat = |name: &str| rustix::fs::lstat(layer.directory().join(name)).expect(name);
    assert_eq!(std::fs::read(layer.directory().join("a")).expect("a"), b"shared");
    assert_eq!((stat("a").st_ino, stat("a").st_uid), (stat("d/b").st_ino, 3));
    assert_eq!(std::fs::read_dir(layer.directory()).expect("it").count(), 2, "a and d");
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).expect("the tar");
    assert!(tar == archive, "the tar differs");
}
