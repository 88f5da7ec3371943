//! Exporters: results that the client gets, and refusals before anything is built.

use std::collections::BTreeSet;

use berth_tests::Engine;

use crate::client::{Order, run};
use crate::offers::Offers;

const DOCKERFILE: &str = "FROM scratch\nCOPY . /\n";

fn offers() -> Offers {
    Offers::of(DOCKERFILE, &[("a", b"one"), ("d/b", b"two")])
}

fn paths(archive: &[u8]) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("an archive").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.path().expect("a path").display().to_string()).collect()
}

#[test]
fn files_go_to_the_client_as_a_directory() {
    let engine = Engine::start();
    let built = run(Order::of(offers(), "x").exporters(&[("local", &[])]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let files: Vec<(&[u8], &[u8])> = built
        .received
        .directory
        .iter()
        .map(|(stat, content)| (stat.path.as_slice(), content.as_slice()))
        .collect();
    assert_eq!(files, [(&b"a"[..], &b"one"[..]), (b"d", b""), (b"d/b", b"two")]);
    assert_eq!(built.step("exporting to client directory"), "done");
    engine.forget_builds();
}

/// A file with holes, times before 1970 and below a second, attributes, names of one file, devices' neighbours: all of it
/// arrives as it is.
#[test]
fn a_directory_has_what_the_image_has() {
    let engine = Engine::start();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_mode(0o4750);
    header.set_uid(7);
    header.set_gid(8);
    let attributes = [("SCHILY.xattr.user.foo", &b"bar"[..]), ("mtime", &b"-5000.25"[..])];
    archive.append_pax_extensions(attributes).expect("extensions");
    archive.append_data(&mut header, "old", &b"old"[..]).expect("a file");
    let archive = archive.into_inner().expect("an archive");
    let dockerfile = "FROM busybox AS made\nRUN mkdir /r && cd /r && truncate -s 1M hole && echo end >> hole && \
        echo two > one && ln one two && mkdir a && ln one a/f && ln -s one link && mkfifo pipe\n\
        FROM scratch\nADD a.tar /\nCOPY --from=made /r /\n";
    let offers = Offers::of(dockerfile, &[("a.tar", &archive)]);
    let built = run(Order::of(offers, "x").exporters(&[("local", &[])]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let directory = &built.received.directory;
    let names: Vec<_> = directory.iter().map(|(stat, _)| String::from_utf8_lossy(&stat.path)).collect();
    assert_eq!(names, ["a", "a/f", "hole", "link", "old", "one", "pipe", "two"]);
    let (hole, content) = &directory[2];
    assert_eq!((hole.size, content.len()), ((1 << 20) + 4, (1 << 20) + 4));
    assert!(content.ends_with(b"\0end\n") && content[..1 << 20].iter().all(|byte| *byte == 0));
    assert_eq!(directory[3].0.link, b"one");
    let (old, content) = &directory[4];
    assert_eq!((old.user, old.group, old.mode, content.as_slice()), (7, 8, 1 << 23 | 0o750, &b"old"[..]));
    assert_eq!(old.attributes.get("user.foo").map(Vec::as_slice), Some(&b"bar"[..]));
    assert_eq!(old.modified, -5_000_250_000_000);
    assert_eq!(directory[1].1, b"two\n");
    for further in [&directory[5], &directory[7]] {
        assert_eq!(further.0.link, b"a/f", "further names of a file come behind the one that they name");
    }
    engine.forget_builds();
}

#[test]
fn files_go_to_the_client_as_an_archive() {
    let engine = Engine::start();
    let built = run(Order::of(offers(), "x").exporters(&[("tar", &[])]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    let found = paths(&built.received.file);
    assert!(found.contains("a") && found.contains("d/b"), "{found:?}");
    engine.forget_builds();
}

#[test]
fn an_image_goes_to_the_client_and_comes_back() {
    let engine = Engine::start();
    for kind in ["docker", "oci"] {
        let order = Order::of(offers(), "x").exporters(&[(kind, &[("name", "carried:1")])]);
        let built = run(order.run(engine.socket()));
        let id = built.image();
        let found = paths(&built.received.file);
        assert!(found.contains("index.json"), "{found:?}");
        assert_eq!(found.contains("manifest.json"), kind == "docker", "a list of Docker's: {found:?}");
        let client = engine.at("1.55");
        assert_eq!(client.get("/images/carried:1/json").status(), 404, "an archive gives no name here");
        let _ = client
            .call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &built.received.file)
            .expect(200);
        assert_eq!(client.get("/images/carried:1/json").expect(200).json()["Id"], id);
        let _ = client.delete("/images/carried:1").expect(200);
    }
    engine.forget_builds();
}

#[test]
fn attributes_without_effect_are_warnings_and_prefixes_begin_names() {
    let engine = Engine::start();
    let attributes = [("buildinfo", "true"), ("nosuch", "1"), ("dest", "/x")];
    let built = run(Order::of(offers(), "x").exporters(&[("docker", &attributes)]).run(engine.socket()));
    built.result.as_ref().expect("a build");
    assert_eq!(
        built.warnings(),
        [
            "exporter attribute buildinfo=true of docker has no effect: clients of today have no such field of images",
            "exporter attribute nosuch=1 of docker has no effect: it is not known",
        ]
    );
    let order = Order::of(offers(), "x").option("attest:provenance", "mode=min");
    let order = order.exporters(&[("tar", &[("attestation-prefix", "said-")])]);
    let built = run(order.run(engine.socket()));
    built.result.as_ref().expect("a build");
    let found = paths(&built.received.file);
    assert!(found.contains("said-provenance.json") && !found.contains("provenance.json"), "{found:?}");
    engine.forget_builds();
}

#[test]
fn what_cannot_be_exported_is_refused_first() {
    let engine = Engine::start();
    for (kind, attributes, code) in [
        ("nosuch", &[][..], 2),
        ("oci", &[("compression", "estargz")][..], 2),
        ("local", &[("annotation.a", "b")][..], 2),
        ("local", &[("platform-split", "maybe")][..], 2),
        ("tar", &[("rewrite-timestamp", "true")][..], 2),
        ("moby", &[("name", "NOT A NAME")][..], 2),
    ] {
        let built = run(Order::of(offers(), "x").exporters(&[(kind, attributes)]).run(engine.socket()));
        assert_eq!(built.failure().0, code, "{kind}: {}", built.failure().1);
        assert!(built.received.asked.is_empty(), "nothing was asked for");
    }
}
