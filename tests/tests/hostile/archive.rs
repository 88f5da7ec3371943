//! Hostile archives and hostile containers against `docker cp`'s endpoints: the host stays untouched.

use std::path::Path;

use berth_tests::tarball::{self, TAR, entries, joined, raw};
use berth_tests::{Answer, Engine, merged, query, sh, wait};
use serde_json::json;
use tar::EntryType;

use super::Target;

fn put(engine: &Engine, id: &str, path: &str, archive: &[u8]) -> Answer {
    engine.call("PUT", &format!("/containers/{id}/archive{}", query(&[("path", path)])), &TAR, archive)
}

fn get(engine: &Engine, id: &str, path: &str) -> Answer {
    engine.get(&format!("/containers/{id}/archive{}", query(&[("path", path)])))
}

#[test]
fn archives_do_not_reach_the_host() {
    let engine = Target::start();
    let victim = engine.directory().join("victim");
    std::fs::create_dir(&victim).expect("a directory of the host");
    std::fs::write(victim.join("kept"), "kept").expect("a file of the host");
    let outside = victim.display().to_string();
    let up = "../".repeat(16);
    let file = |name: &str| raw(EntryType::Regular, name, "", b"x");
    let link = |name: &str, target: &str| raw(EntryType::Symlink, name, target, b"");
    let archives = [
        vec![file(&format!("{up}{}/a", &outside[1..]))],
        vec![file(&format!("{outside}/b"))],
        vec![link("l", &outside), file("l/c")],
        vec![link("m", &format!("{up}{}", &outside[1..])), file("m/d")],
        vec![link("n", "/"), file(&format!("n{outside}/e"))],
        vec![link("o", &format!("{outside}/kept")), file("o")],
        vec![raw(EntryType::Link, "h", &format!("{up}{}/kept", &outside[1..]), b""), file("h")],
        vec![raw(EntryType::Link, "i", &format!("{outside}/kept"), b""), file("i")],
        vec![link("p", &outside), raw(EntryType::Directory, "p/", "", b""), file("p/q")],
        vec![link("r", "/proc/1/root"), file(&format!("r{outside}/s"))],
        vec![link("t", "/proc/self/root"), file(&format!("t{outside}/u"))],
    ];
    let running = engine.run(&sh("sleep 600"));
    let ended = engine.create(&sh("true"));
    for id in [&running, &ended] {
        let mut statuses = Vec::new();
        for archive in &archives {
            let answer = put(&engine, id, "/tmp", &joined(archive));
            statuses.push(answer.status());
            let left: Vec<_> =
                std::fs::read_dir(&victim).expect("it").flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(left, ["kept"], "{}", answer.text());
            assert_eq!(std::fs::read_to_string(victim.join("kept")).expect("it"), "kept");
        }
        // A name or a hard link that climbs is refused, a hard link to nothing is not found, and symlinks lead to
        // places within the container.
        assert_eq!(statuses, [500, 200, 200, 200, 200, 200, 500, 404, 200, 200, 200]);
    }
}

/// CVE-2018-15664: a path is looked up, a process of the container puts a link in its place, and the
/// engine follows it on the host.
#[test]
fn a_link_that_is_swapped_meanwhile_leads_nowhere_else() {
    let engine = Target::start();
    let name = format!("berth-swapped-{}", std::process::id());
    let outside = Path::new("/var/tmp").join(&name);
    std::fs::create_dir(&outside).expect("a directory of the host");
    std::fs::write(outside.join("secret"), "host").expect("a file of the host");
    // Inside, the same path holds other things; `here` is that directory or a link to it by turns.
    let script = format!(
        "mkdir -p {path} /w/real; echo inside > {path}/secret; echo inside > /w/real/secret; cd /w
         ln -s {path} swapped; echo up
         while :; do mv -T real here; mv -T here real; mv -T swapped here; mv -T here swapped; done",
        path = outside.display()
    );
    let id = engine.run(&sh(&script));
    wait::until("the race", || engine.logs(&id).0.contains("up").then_some(()));
    let archive = tarball::of(&[("planted", "x"), ("secret", "overwritten")]);
    let (mut read, mut written) = (0, 0);
    for round in 0.. {
        // Often there is nothing at all in the place.
        if round >= 300 && read >= 30 && written >= 10 {
            break;
        }
        assert!(
            round < 20_000,
            "the race was not run: {read} reads, {written} writes; {:?}",
            engine.exec(&id, &["ls", "-l", "/w"])
        );
        if round % 3 == 0 {
            written += u32::from(put(&engine, &id, "/w/here", &archive).status() == 200);
        }
        let answer = get(&engine, &id, if round % 2 == 0 { "/w/here/secret" } else { "/w/here/" });
        if answer.status() == 200 {
            read += 1;
            for (name, entry) in entries(&answer.body) {
                assert_ne!(entry.content, b"host", "{name} was read from the host");
            }
        }
        let found = std::fs::read_to_string(outside.join("secret")).expect("the file of the host");
        assert_eq!(found, "host", "a file of the host was written");
        assert!(!outside.join("planted").exists(), "a file was put on the host");
    }
    engine.remove(&id);
    std::fs::remove_dir_all(&outside).expect("the directory to go");
}

/// CVE-2019-14271: an engine that changes its root to the container's loads the container's libraries.
#[test]
fn nothing_of_the_container_is_executed_or_loaded() {
    let engine = Target::start();
    let proof = engine.directory().join("proof");
    let program = format!("#!/bin/sh\ntouch {}\n", proof.display());
    let names = [
        "lib/x86_64-linux-gnu/libnss_files.so.2",
        "lib64/libnss_files.so.2",
        "lib/libnss_compat.so.2",
        "lib64/ld-linux-x86-64.so.2",
        "lib/ld-musl-x86_64.so.1",
        "usr/bin/tar",
        "bin/tar",
        "bin/gzip",
        "usr/bin/xz",
        "etc/ld.so.preload",
        "etc/nsswitch.conf",
        "usr/local/bin/berth",
        "bin/ps",
    ];
    let mut pieces = Vec::new();
    for name in names {
        pieces.push(raw(EntryType::Regular, name, "", program.as_bytes()));
    }
    let running = engine.run(&merged(sh("sleep 600"), json!({ "HostConfig": { "Privileged": true } })));
    let ended = engine.create(&sh("true"));
    let loaded = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let files = |maps: &str| -> std::collections::BTreeSet<String> {
        let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        paths.filter(|path| path.starts_with('/')).map(str::to_owned).collect()
    };
    let before = files(&loaded(engine.daemon_pid()));
    for id in [&running, &ended] {
        let _ = put(&engine, id, "/", &joined(&pieces)).expect(200);
        for path in ["/etc/passwd", "/lib", "/usr/bin/tar"] {
            let _ = get(&engine, id, path).expect(200);
        }
        let compressed = {
            use std::io::Write as _;
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&tarball::of(&[("x", "y")])).expect("bytes");
            encoder.finish().expect("gzip")
        };
        let _ = put(&engine, id, "/tmp", &compressed).expect(200);
        let _ = engine.get(&format!("/containers/{id}/export")).expect(200);
        let _ = engine.get(&format!("/containers/{id}/changes")).expect(200);
    }
    let _ = engine.get(&format!("/containers/{running}/top?ps_args=aux")).expect(200);
    let after = files(&loaded(engine.daemon_pid()));
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "files were loaded meanwhile: {new:?}");
    assert!(!proof.exists(), "a program of the container ran");
}
