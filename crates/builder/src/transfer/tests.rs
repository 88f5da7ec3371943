//! COPY and ADD on real files: what ends up where, with which metadata.

use std::io::Write;

use crate::fixture::{Archive, Fixture, context};

/// The context that most tests copy from.
fn full(rest: &str) -> Archive {
    context(&format!("FROM base\n{rest}"))
        .file_of("f.txt", "F", 0o640, 1000, 1000)
        .file("g.txt", "G")
        .directory("dir/")
        .file("dir/a", "A")
        .directory("dir/sub/")
        .file_of("dir/sub/b", "B", 0o4755, 7, 8)
        .symlink("dir/link", "a")
        .symlink("ln", "f.txt")
        .symlink("lndir", "dir")
        .symlink("lnout", "/etc/passwd")
        .symlink("lnup", "../../../../etc/passwd")
        .symlink("lnback", "dir/../f.txt")
        .symlink("loop", "loop")
}

/// The paths that a Dockerfile's last step adds on top of the base.
fn added(fixture: &Fixture, archive: Archive) -> Vec<String> {
    let image = fixture.image(archive);
    fixture.top_layer(&image)
}

#[test]
fn files_go_where_docker_puts_them() {
    let fixture = Fixture::new();
    for (rest, want) in [
        ("COPY f.txt /x", vec!["x 640 0:0 1 2015"]),
        ("COPY f.txt /new/d/", vec!["new/ 755 0:0", "new/d/ 755 0:0", "new/d/f.txt 640 0:0 1 2015"]),
        ("COPY f.txt /tmp", vec!["tmp/ 1777 0:0", "tmp/f.txt 640 0:0 1 2015"]),
        ("WORKDIR /w\nCOPY f.txt rel", vec!["w/ 755 0:0", "w/rel 640 0:0 1 2015"]),
        ("WORKDIR /w\nCOPY f.txt .", vec!["w/ 755 0:0", "w/f.txt 640 0:0 1 2015"]),
        ("WORKDIR /w\nCOPY f.txt ./", vec!["w/ 755 0:0", "w/f.txt 640 0:0 1 2015"]),
        (
            "COPY f.txt g.txt /two/",
            vec!["two/ 755 0:0", "two/f.txt 640 0:0 1 2015", "two/g.txt 644 0:0 1 2015"],
        ),
        ("COPY *.txt /w/", vec!["w/ 755 0:0", "w/f.txt 640 0:0 1 2015", "w/g.txt 644 0:0 1 2015"]),
        ("COPY d?r/[a] /w/", vec!["w/ 755 0:0", "w/a 644 0:0 1 2015"]),
        ("COPY f.t* /one", vec!["one 640 0:0 1 2015"]),
        ("COPY /f.txt /x2", vec!["x2 640 0:0 1 2015"]),
        ("COPY dir/../f.txt /x3", vec!["x3 640 0:0 1 2015"]),
        ("COPY [\"f.txt\", \"/with space\"]", vec!["with space 640 0:0 1 2015"]),
        ("COPY ln f.txt /l/", vec!["l/ 755 0:0", "l/f.txt 640 0:0 1 2015", "l/ln 640 0:0 1 2015"]),
        ("COPY lnback /x4", vec!["x4 640 0:0 1 2015"]),
        ("COPY lndir/a /x5", vec!["x5 644 0:0 1 2015"]),
        ("ENV d=/e\nCOPY f.txt ${d}/\\$x", vec!["e/ 755 0:0", "e/$x 640 0:0 1 2015"]),
    ] {
        assert_eq!(added(&fixture, full(rest)), want, "{rest}");
    }
}

#[test]
fn directories_are_copied_by_content() {
    let fixture = Fixture::new();
    let below = |top: &str| {
        ["a 644 0:0 1 2015", "link 777 0:0 -> a 2015", "sub/ 755 0:0 2015", "sub/b 4755 0:0 1 2015"]
            .map(|line| format!("{top}{line}"))
    };
    let with = |first: &str, top: &str| [vec![first.to_owned()], below(top).to_vec()].concat();
    for (rest, want) in [
        ("COPY dir /d", with("d/ 755 0:0", "d/")),
        ("COPY lndir /d2", with("d2/ 755 0:0", "d2/")),
        ("COPY dir /tmp/", with("tmp/ 1777 0:0", "tmp/")),
        ("COPY dir/ /", below("").to_vec()),
        (
            "COPY --chown=alice dir/sub /s",
            vec!["s/ 755 1000:1001".to_owned(), "s/b 4755 1000:1001 1 2015".to_owned()],
        ),
        ("COPY --chown=5 f.txt /five", vec!["five 640 5:5 1 2015".to_owned()]),
        ("COPY --chown=bob:staff f.txt /six", vec!["six 640 7:50 1 2015".to_owned()]),
    ] {
        assert_eq!(added(&fixture, full(rest)), want, "{rest}");
    }
    let unknown = fixture.stream_of(full("COPY --chown=nobody:nogroup f.txt /x"));
    assert!(unknown.ends_with("ERROR can't find uid for nobody"), "{unknown}");
}

#[test]
fn what_leads_out_of_the_context_is_refused() {
    let fixture = Fixture::new();
    for (rest, want) in [
        ("COPY lnout /x", "Forbidden path outside the build context: lnout (/etc/passwd)"),
        ("ADD lnout /x", "Forbidden path outside the build context: lnout (/etc/passwd)"),
        ("COPY lnup /x", "Forbidden path outside the build context: lnup (../../../../etc/passwd)"),
        ("COPY ../etc/passwd /x", "../etc/passwd: no such file or directory"),
        ("COPY dir/../../f.txt /x", "dir/../../f.txt: no such file or directory"),
        ("COPY loop /x", "loop: no such file or directory"),
        ("COPY f.txt/x /x", "f.txt/x: no such file or directory"),
        ("COPY [\"[\", \"/x\"]", "No source files were specified"),
        ("COPY [\"f.txt\", \"/x\"", "No source files were specified"),
        (
            "ENV two=/two\nCOPY f.txt g.txt $two",
            "When using COPY with more than one source file, the destination must be a directory and end with a /",
        ),
        ("COPY dir /etc/passwd", "mkdir /etc/passwd: not a directory"),
        ("COPY f.txt /etc/passwd/x", "mkdir /etc/passwd: not a directory"),
    ] {
        let text = fixture.stream_of(full(rest));
        assert!(text.ends_with(&format!("ERROR {want}")), "{rest}: {text}");
    }
}

#[test]
fn links_of_the_image_are_followed_inside_it() {
    let fixture = Fixture::new();
    for (rest, want) in [
        ("COPY f.txt /lnk/f", vec!["tmp/ 1777 0:0", "tmp/f 640 0:0 1 2015"]),
        ("COPY f.txt /lnk/", vec!["tmp/ 1777 0:0", "tmp/f.txt 640 0:0 1 2015"]),
        ("COPY f.txt /lib/new", vec!["usr/ 755 0:0 2015", "usr/lib/ 755 0:0", "usr/lib/new 640 0:0 1 2015"]),
        ("COPY f.txt /escape/new", vec!["etc/ 755 0:0", "etc/new 640 0:0 1 2015"]),
        ("COPY f.txt /../../up", vec!["up 640 0:0 1 2015"]),
        ("RUN ln /nowhere /dangling\nCOPY f.txt /dangling", vec!["nowhere 640 0:0 1 2015"]),
        (
            "RUN ln /nowhere /hanging\nCOPY f.txt /hanging/x/",
            vec!["nowhere/ 755 0:0", "nowhere/x/ 755 0:0", "nowhere/x/f.txt 640 0:0 1 2015"],
        ),
    ] {
        assert_eq!(added(&fixture, full(rest)), want, "{rest}");
    }
    assert!(!std::path::Path::new("/etc/new").exists() && !std::path::Path::new("/nowhere").exists());
}

#[test]
fn a_link_in_the_way_of_a_directory_gives_way() {
    let fixture = Fixture::new();
    let archive = context("FROM base\nCOPY d /").directory("d/").directory("d/lib/").file("d/lib/x", "x");
    let image = fixture.image(archive);
    assert_eq!(fixture.top_layer(&image), ["lib/ 755 0:0 2015", "lib/x 644 0:0 1 2015"]);
    let archive = context("FROM base\nCOPY d /").directory("d/").symlink("d/usr", "x");
    let image = fixture.image(archive);
    assert!(
        fixture.files(&image).iter().all(|line| !line.starts_with("usr/")),
        "{:?}",
        fixture.files(&image)
    );
}

#[test]
fn contents_stay_apart_and_links_together() {
    use std::os::unix::fs::MetadataExt;
    let fixture = Fixture::new();
    let archive = context("FROM base\nCOPY f h1 h2 /one/\nCOPY f h1 /two/")
        .file("f", "1")
        .file("h1", "2")
        .hard_link("h2", "h1");
    let image = fixture.image(archive);
    let layers = fixture.store.lower_directories(&image);
    let inode = |layer: usize, path: &str| std::fs::metadata(layers[layer].join(path)).unwrap().ino();
    assert_eq!(inode(1, "one/h1"), inode(1, "one/h2"));
    assert_ne!(inode(1, "one/h1"), inode(0, "two/h1"));
    assert_ne!(inode(1, "one/f"), inode(0, "two/f"));
    assert_eq!(fixture.read(&image, "two/h1"), "2");
    let names = vec![model::ImageReference::parse("linked").unwrap()];
    let archive = context("FROM base\nCOPY d /d").directory("d/").file("d/h1", "2").hard_link("d/h2", "d/h1");
    fixture.build_with(archive, |request| request.names = names).result.unwrap();
    let image = fixture.image(context("FROM scratch\nCOPY --from=linked /d /d"));
    let layers = fixture.store.lower_directories(&image);
    let inode = |path: &str| std::fs::metadata(layers[0].join(path)).unwrap().ino();
    assert_eq!(inode("d/h1"), inode("d/h2"));
}

fn compressed(kind: &str, data: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new(kind)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let data = data.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&data).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

#[test]
fn add_unpacks_archives_and_copy_does_not() {
    let fixture = Fixture::new();
    let inner = Archive::new()
        .file_of("t1", "1", 0o644, 0, 0)
        .directory("td/")
        .file_of("td/t2", "22", 0o600, 1000, 1000)
        .hard_link("th", "td/t2")
        .symlink("ts", "../../../../etc/passwd")
        .bytes();
    let want = [
        "t/ 755 0:0",
        "t/t1 644 0:0 1 2015",
        "t/td/ 755 0:0 2015",
        "t/td/t2 600 1000:1000 2 2015",
        "t/th 600 1000:1000 2 2015",
        "t/ts 777 0:0 -> ../../../../etc/passwd 2015",
    ];
    for (kind, rest) in [
        ("", "ADD a /t/"),
        ("", "ADD a /t"),
        ("gzip", "ADD a /t/"),
        ("bzip2", "ADD a /t/"),
        ("xz", "ADD a /t/"),
        ("zstd", "ADD a /t/"),
    ] {
        let data = if kind.is_empty() { inner.clone() } else { compressed(kind, &inner) };
        let archive = context(&format!("FROM base\n{rest}")).file("a", data);
        assert_eq!(added(&fixture, archive), want, "{kind} {rest}");
    }
    let copied = context("FROM base\nCOPY a /t/").file("a", &inner);
    assert_eq!(added(&fixture, copied)[1], format!("t/a 644 0:0 {} 2015", inner.len()));
    for (name, data) in [
        ("bad.tar", b"no tar at all".to_vec()),
        ("a.gz", compressed("gzip", b"no tar")),
        ("empty", Vec::new()),
        ("zeros", vec![0; 1024]),
    ] {
        let size = data.len();
        let archive = context(&format!("FROM base\nADD {name} /t/")).file(name, data);
        assert_eq!(
            added(&fixture, archive),
            ["t/ 755 0:0".to_owned(), format!("t/{name} 644 0:0 {size} 2015")],
            "{name}"
        );
    }
    for kind in ["gzip", "bzip2", "xz", "zstd"] {
        for nothing in [Vec::new(), vec![0; 512], vec![0; 10240]] {
            let archive = context("FROM base\nADD a /t/").file("a", compressed(kind, &nothing));
            assert_eq!(added(&fixture, archive), ["t/ 755 0:0"], "{kind} of {} zeros", nothing.len());
        }
        let archive = context("FROM base\nADD a /t/").file("a", compressed(kind, &[0; 511]));
        assert!(added(&fixture, archive)[1].starts_with("t/a 644 0:0 "), "no tar ends so: {kind}");
    }
    let cut = context("FROM base\nADD a /t/").file("a", &inner[..inner.len() - 2600]);
    assert!(fixture.stream_of(cut).contains("ERROR cannot unpack a: "), "truncated");
}

#[test]
fn hostile_archives_stay_in_the_destination() {
    let fixture = Fixture::new();
    let inner = Archive::new()
        .symlink("out", "/etc")
        .file("out/evil", "e")
        .file("../../up", "u")
        .file("/abs", "a")
        .symlink("dots", "../../..")
        .file("dots/evil2", "e")
        .directory("twice/")
        .file("twice/x", "1")
        .symlink("twice", "td")
        .directory("twice/")
        .file("twice/y", "2")
        .bytes();
    let archive = context("FROM base\nADD a /t/").file("a", inner);
    assert_eq!(
        added(&fixture, archive),
        [
            "t/ 755 0:0",
            "t/abs 644 0:0 1 2015",
            "t/dots 777 0:0 -> ../../.. 2015",
            "t/etc/ 755 0:0",
            "t/etc/evil 644 0:0 1 2015",
            "t/evil2 644 0:0 1 2015",
            "t/out 777 0:0 -> /etc 2015",
            "t/twice/ 755 0:0 2015",
            "t/twice/y 644 0:0 1 2015",
            "t/up 644 0:0 1 2015",
        ]
    );
    let missing = Archive::new().hard_link("x", "etc/passwd").bytes();
    let text = fixture.stream_of(context("FROM base\nADD a /t/").file("a", missing));
    assert!(text.contains("cannot link \"x\" to \"etc/passwd\""), "{text}");
}

#[test]
fn special_files_are_copied_as_such() {
    let fixture = Fixture::new();
    let archive = context("FROM base\nCOPY d /d")
        .directory("d/")
        .entry("d/fifo", tar::EntryType::Fifo, |_| {}, b"")
        .entry(
            "d/null",
            tar::EntryType::Char,
            |header| {
                header.set_device_major(1).unwrap();
                header.set_device_minor(3).unwrap();
            },
            b"",
        );
    assert_eq!(
        added(&fixture, archive),
        ["d/ 755 0:0", "d/fifo 644 0:0 fifo 2015", "d/null 644 0:0 device 2015"]
    );
}

#[test]
fn sums_tell_names_and_links_apart() {
    let fixture = Fixture::new();
    let hits = |archive: Archive| fixture.build(archive).text.contains("Using cache");
    assert!(!hits(context("FROM base\nCOPY a /d/").file("a", "x")));
    assert!(hits(context("FROM base\nCOPY ./a /d/").file("a", "x")));
    assert!(hits(context("FROM base\nCOPY ? /d/").file("a", "x")));
    assert!(!hits(context("FROM base\nCOPY b /d/").file("b", "x")));
    assert!(!hits(context("FROM base\nCOPY d /d").directory("d/").symlink("d/l", "1")));
    assert!(!hits(context("FROM base\nCOPY d /d").directory("d/").symlink("d/l", "2")));
    assert!(!hits(context("FROM base\nCOPY --chown=1 a /d/").file("a", "x")));
    assert!(!hits(context("FROM base\nADD a /d/").file("a", "x")));
}
