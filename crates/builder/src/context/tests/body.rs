//! Tars in the request's body.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::fixture::{Archive, Fixture, context};
use crate::{BuildError, BuildRequest, ContextSource};

fn error_of(fixture: &Fixture, body: Vec<u8>) -> String {
    let built = fixture.build_bytes(body, |_| {});
    assert_eq!(built.text, "");
    built.result.unwrap_err().to_string()
}

/// The files below `/c` after `COPY . /c`.
fn copied(fixture: &Fixture, archive: Archive) -> Vec<String> {
    let image = fixture.image(archive);
    let lines = fixture.top_layer(&image).into_iter();
    lines.map(|line| line.strip_prefix("c/").unwrap_or(&line).to_owned()).skip(1).collect()
}

const COPY_ALL: &str = "FROM base\nCOPY . /c";

#[test]
fn bodies_that_are_no_context_say_why() {
    let fixture = Fixture::new();
    let good = context("FROM base").file("f", vec![b'x'; 100_000]).bytes();
    for (body, want) in [
        (Vec::new(), "the build context is empty"),
        (b"not a tar".repeat(200), "the build context is no tar archive: "),
        (b"short".to_vec(), "the build context "),
        (good[..50_000].to_vec(), "the build context ends before its end: unexpected EOF"),
        ([b"\x1f\x8b".as_slice(), &b"junk".repeat(100)].concat(), "the build context "),
        (vec![0; 1024], "Cannot locate specified Dockerfile: Dockerfile"),
        (Archive::new().file("other", "x").bytes(), "Cannot locate specified Dockerfile: Dockerfile"),
        (Archive::new().directory("Dockerfile/").bytes(), "Cannot locate specified Dockerfile: Dockerfile"),
    ] {
        let text = error_of(&fixture, body);
        assert!(text.starts_with(want), "{text}");
    }
    let body = context("FROM base").bytes();
    let unended = body[..1024].to_vec();
    assert!(fixture.build_bytes(unended, |_| {}).result.is_ok());
}

#[test]
fn names_stay_in_the_context() {
    let fixture = Fixture::new();
    let archive = Archive::new()
        .directory("./")
        .file("./Dockerfile", COPY_ALL)
        .file("../up", "u")
        .file("/abs", "a")
        .file("a/../../b", "b")
        .file("implied/deep/f", "f");
    let want = [
        "Dockerfile 644 0:0 19 2015",
        "abs 644 0:0 1 2015",
        "b 644 0:0 1 2015",
        "implied/ 755 0:0",
        "implied/deep/ 755 0:0",
        "implied/deep/f 644 0:0 1 2015",
        "up 644 0:0 1 2015",
    ];
    assert_eq!(copied(&fixture, archive), want);
    for (archive, want) in [
        (context("FROM base").symlink("l", "/tmp").file("l/evil", "x"), "l is no directory"),
        (context("FROM base").file("f", "x").file("f/x", "x"), "f is no directory"),
        (
            context("FROM base").hard_link("h", "../../etc/passwd"),
            "the link's target etc/passwd is not in it",
        ),
    ] {
        let text = error_of(&fixture, archive.bytes());
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn later_entries_replace_earlier_ones() {
    let fixture = Fixture::new();
    let archive = context(COPY_ALL)
        .file("a", "1")
        .file("a", "22")
        .directory("d/")
        .file("d/x", "1")
        .file("d", "file")
        .symlink("s", "a")
        .directory("s/")
        .file("s/y", "y")
        .file("h", "h")
        .hard_link("h2", "h");
    let want = [
        "Dockerfile 644 0:0 19 2015",
        "a 644 0:0 2 2015",
        "d 644 0:0 4 2015",
        "h 644 0:0 1 2015",
        "h2 644 0:0 1 2015",
        "s/ 755 0:0 2015",
        "s/y 644 0:0 1 2015",
    ];
    assert_eq!(copied(&fixture, archive), want);
}

#[test]
fn large_and_attributed_files_come_through() {
    let fixture = Fixture::new();
    let large = vec![7_u8; 3 << 20];
    let mut builder = tar::Builder::new(Vec::new());
    let dockerfile = "FROM base\nCOPY f /f";
    let mut add = |name: &str, data: &[u8], attribute: Option<&[u8]>| {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(5);
        if let Some(value) = attribute {
            let extensions = [("SCHILY.xattr.user.berth", value), ("mtime", b"-1.25".as_slice())];
            builder.append_pax_extensions(extensions).unwrap();
        }
        builder.append_data(&mut header, name, data).unwrap();
    };
    add("Dockerfile", dockerfile.as_bytes(), None);
    add("f", &large, Some(b"value"));
    let built = fixture.build_bytes(builder.into_inner().unwrap(), |_| {});
    let image = fixture.store.image(&built.result.unwrap()).unwrap();
    let file = fixture.store.lower_directories(&image)[0].join("f");
    assert_eq!(std::fs::read(&file).unwrap(), large);
    let node = crate::tree::Node::read(&file).unwrap();
    let time = node.metadata.modified.unwrap();
    assert_eq!((time.seconds, time.nanoseconds, node.metadata.mode), (-2, 750_000_000, 0o755));
    let attributes = crate::tree::read_attributes(&file).unwrap();
    assert_eq!(attributes, [(b"user.berth".to_vec(), b"value".to_vec())]);
}

/// The device, inode and number of names of files in an image's top layer.
fn inodes(fixture: &Fixture, image: &images::Image, names: &[&str]) -> Vec<(u64, u64, u64)> {
    let top = &fixture.store.lower_directories(image)[0];
    let found = names.iter().map(|name| std::fs::symlink_metadata(top.join(name)).unwrap());
    found.map(|found| (found.dev(), found.ino(), found.nlink())).collect()
}

#[test]
fn contents_of_every_size_keep_their_names() {
    let fixture = Fixture::new();
    let bytes = |size: usize| (0..size).map(|at| (at / 251).to_le_bytes()[0]).collect::<Vec<u8>>();
    // Around the sizes at which contents share a file, and are written to it.
    let sizes = [0, 1, 65_535, 65_536, 65_537, 300_000];
    let mut archive = context("FROM base\nCOPY . /c\nCOPY . /again");
    for round in 0..5 {
        for size in sizes {
            archive = archive.file(&format!("{size}-{round}"), bytes(size));
        }
    }
    let archive = archive.hard_link("small-link", "65536-0").hard_link("large-link", "300000-0");
    let image = fixture.image(archive);
    for directory in ["c", "again"] {
        for round in 0..5 {
            for size in sizes {
                let path = format!("{directory}/{size}-{round}");
                let layers = fixture.store.lower_directories(&image);
                let layer = layers.iter().find(|layer| layer.join(directory).is_dir()).unwrap();
                assert_eq!(std::fs::read(layer.join(&path)).unwrap(), bytes(size), "{path}");
            }
        }
    }
    let names = ["again/65536-0", "again/small-link", "again/300000-0", "again/large-link", "again/300000-1"];
    let found = inodes(&fixture, &image, &names);
    assert_eq!((found[0], found[2]), (found[1], found[3]));
    assert_eq!(found.iter().map(|inode| inode.2).collect::<Vec<_>>(), [2, 2, 2, 2, 1]);
}

#[test]
fn a_large_files_inode_belongs_to_one_layer() {
    let fixture = Fixture::new();
    let large = vec![1; 100_000];
    let archive = context("FROM base\nCOPY f /f\nCOPY --chown=7:8 f /g").file("f", &large);
    let image = fixture.image(archive);
    let layers = fixture.store.lower_directories(&image);
    let owner = |layer: usize, name: &str| {
        let found = std::fs::symlink_metadata(layers[layer].join(name)).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    };
    assert_eq!((owner(1, "f"), owner(0, "g")), ((0, 0, 0o644), (7, 8, 0o644)));
}

#[test]
fn holes_stay_holes() {
    let fixture = Fixture::new();
    let source = fixture.temporary.join("source");
    std::fs::create_dir(&source).unwrap();
    let file = std::fs::File::create(source.join("sparse")).unwrap();
    // No disk has space for it, and reading it would take too long.
    file.set_len(1 << 40).unwrap();
    file.write_all_at(b"middle", 10 << 20).unwrap();
    // The context's own file, a copy of it, and copies of a layer's.
    let steps = "FROM base AS one\nCOPY sparse /s\nCOPY sparse /again\n\
        FROM base\nCOPY --from=one /s /s\nCOPY --from=one /again /again";
    std::fs::write(source.join("Dockerfile"), steps).unwrap();
    for format in ["gnu", "posix"] {
        let tar = std::process::Command::new("tar")
            .args(["--sparse", "--format", format, "-cf", "-", "-C"])
            .arg(&source)
            .arg(".")
            .output()
            .unwrap();
        assert!(tar.stdout.len() < 1 << 20, "{format}: tar found no hole");
        let image = fixture.store.image(&fixture.build_bytes(tar.stdout, |_| {}).result.unwrap()).unwrap();
        for (layer, name) in fixture.store.lower_directories(&image).iter().zip(["again", "s"]) {
            let copied = std::fs::File::open(layer.join(name)).unwrap();
            let mut middle = [0; 8];
            copied.read_exact_at(&mut middle, (10 << 20) - 1).unwrap();
            assert_eq!((&middle, copied.metadata().unwrap().len()), (b"\0middle\0", 1 << 40));
            assert!(copied.metadata().unwrap().blocks() < 2048, "{format}: a hole is filled");
        }
    }
}

#[test]
fn headers_without_end_are_refused() {
    let fixture = Fixture::new();
    let mut builder = tar::Builder::new(Vec::new());
    let value = vec![b'x'; 300_000];
    for number in 0..4 {
        let name = format!("SCHILY.xattr.user.a{number}");
        builder.append_pax_extensions([(name.as_str(), value.as_slice())]).unwrap();
    }
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    builder.append_data(&mut header, "f", b"x".as_slice()).unwrap();
    let text = error_of(&fixture, builder.into_inner().unwrap());
    assert!(text.contains("more than 1048576 bytes in the extended headers of an entry"), "{text}");
}

#[test]
fn dockerfiles_are_found() {
    let fixture = Fixture::new();
    let archive = || {
        context("FROM base\nLABEL at=main")
            .file("other", "FROM base\nLABEL at=other")
            .directory("sub/")
            .file("sub/D", "FROM base\nLABEL at=sub")
            .symlink("ln", "other")
            .symlink("lnabs", "/other")
    };
    for (name, want) in [
        ("", Ok("main")),
        ("other", Ok("other")),
        ("sub/D", Ok("sub")),
        ("./sub/D", Ok("sub")),
        ("/other", Ok("other")),
        ("sub/../other", Ok("other")),
        ("ln", Ok("other")),
        ("nope", Err("Cannot locate specified Dockerfile: nope")),
        ("lnabs", Ok("other")),
        ("sub", Err("Cannot locate specified Dockerfile: sub")),
        (" ", Err("Cannot locate specified Dockerfile:  ")),
        ("/etc/passwd", Err("Cannot locate specified Dockerfile: /etc/passwd")),
        ("../x", Err("The Dockerfile (../x) must be within the build context")),
        ("sub/../../x", Err("The Dockerfile (sub/../../x) must be within the build context")),
    ] {
        let built = fixture.build_with(archive(), |request| request.dockerfile = Some(name.to_owned()));
        let label = built
            .result
            .map_err(|error| error.to_string())
            .map(|id| fixture.store.image(&id).unwrap().config.config.unwrap().labels.unwrap()["at"].clone());
        assert_eq!(label.as_deref().map_err(String::as_str), want, "{name}");
    }
    assert!(fixture.build(Archive::new().file("dockerfile", "FROM base")).result.is_ok());
    let linked = Archive::new().file("x", "FROM base").symlink("Dockerfile", "x");
    assert!(fixture.build(linked).result.is_ok());
}

#[test]
fn the_clients_ignore_file_hides_only_what_it_had_to_send() {
    let fixture = Fixture::new();
    let names = |archive: Archive| -> Vec<String> {
        copied(&fixture, archive).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let archive = |ignore: &str| context(COPY_ALL).file(".dockerignore", ignore).file("a.log", "1");
    assert_eq!(names(archive("*.log\n")), [".dockerignore", "Dockerfile", "a.log"]);
    assert_eq!(names(archive("Dockerfile\n.dockerignore\n")), ["a.log"]);
    assert_eq!(names(archive("[\n")), [".dockerignore", "Dockerfile", "a.log"]);
}

#[test]
fn nothing_of_a_build_stays_in_its_directory() {
    let fixture = Fixture::new();
    assert!(fixture.build(context("FROM base\nCOPY . /c\nRUN exit 1")).result.is_err());
    let builds = fixture.temporary.join("builds");
    let start = Instant::now();
    // The directory goes in the background.
    let stays = || {
        let names = std::fs::read_dir(&builds).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().any(|name| name != crate::scratch::KNOWN)
    };
    while stays() {
        assert!(start.elapsed() < Duration::from_secs(60), "something stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::create_dir_all(builds.join("left")).unwrap();
    let container = "0a".repeat(32);
    // A kill may have cut the last one off.
    std::fs::write(builds.join("left/containers"), format!("{container}\n0b0b")).unwrap();
    let builder =
        crate::Builder::new(fixture.store.clone(), &builds, fixture.temporary.join("secrets-again"), "1")
            .unwrap();
    assert_eq!(builder.leftover_containers(), [model::ContainerId::parse(&container).unwrap()]);
    assert!(!stays());
}

#[test]
fn a_client_that_leaves_while_it_sends_ends_the_build() {
    let fixture = Fixture::new();
    let events = Mutex::new(Vec::new());
    let sink = |event| events.lock().unwrap().push(event);
    let session = crate::Session {
        runner: &fixture.runner,
        puller: &fixture.puller,
        events: &sink,
        cancellation: &fixture.cancellation,
    };
    fixture.cancellation.cancel();
    let body = context("FROM base").bytes();
    let request = BuildRequest::new(ContextSource::Archive(Box::new(std::io::Cursor::new(body))));
    assert!(matches!(fixture.builder.build(request, &session), Err(BuildError::Cancelled)));
    assert!(events.lock().unwrap().is_empty());
}

#[test]
fn damaged_archives_end_in_a_result_and_write_nowhere_else() {
    let fixture = Fixture::new();
    let good = context(COPY_ALL)
        .directory("d/")
        .file("d/f", "content")
        .symlink("l", "../../outside")
        .hard_link("h", "d/f")
        .bytes();
    let mut seed = 7_u32;
    let mut next = |limit: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % limit
    };
    for _ in 0..60 {
        let mut bytes = good.clone();
        for _ in 0..=next(4) {
            let position = next(bytes.len());
            bytes[position] = [0, 1, b'/', b'.', b'7', 0xff][next(6)];
        }
        // A header's checksum would catch most changes: make it right again.
        for header in bytes.chunks_exact_mut(512) {
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum::<u32>()
                - header[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>()
                + 8 * u32::from(b' ');
            if header[257..262] == *b"ustar" {
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let _ = fixture.build_bytes(bytes, |_| {}).result;
    }
    assert!(!fixture.temporary.join("outside").exists());
}
