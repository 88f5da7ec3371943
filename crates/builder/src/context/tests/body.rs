//! Tars in the request's body.

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
        (
            context("FROM base").symlink("s", "/etc/passwd").hard_link("h", "s"),
            "the link's target s is not in it",
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
        ("lnabs", Err("Cannot locate specified Dockerfile: lnabs")),
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
    while std::fs::read_dir(&builds).unwrap().next().is_some() {
        assert!(start.elapsed() < Duration::from_secs(20), "something stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::create_dir_all(builds.join("left/containers")).unwrap();
    let container = "0a".repeat(32);
    std::fs::write(builds.join("left/containers").join(&container), "").unwrap();
    let builder = crate::Builder::new(fixture.store.clone(), &builds, "1").unwrap();
    assert_eq!(builder.leftover_containers(), [model::ContainerId::parse(&container).unwrap()]);
    assert!(std::fs::read_dir(&builds).unwrap().next().is_none());
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
