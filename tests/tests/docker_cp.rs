//! `docker cp` in the forms of its manual's table, with every client that the machine has.

use std::fs;
use std::path::Path;

use berth_tests::cli::{Docker, clients};
use berth_tests::tarball;
use berth_tests::{Engine, sh};

/// What stands at a place before a copy.
fn lay(place: &Path, kind: &str) {
    let parent = place.parent().expect("a directory");
    match kind {
        "missing" => {}
        "file" => fs::write(place, "old").expect("a file"),
        "dir" => fs::create_dir(place).expect("a directory"),
        "link to a file" => {
            fs::write(parent.join("target"), "old").expect("a file");
            std::os::unix::fs::symlink("target", place).expect("a link");
        }
        _ => {
            fs::create_dir(parent.join("target")).expect("a directory");
            std::os::unix::fs::symlink("target", place).expect("a link");
        }
    }
}

/// The tree below a directory: `d/`, `d/f=content`, `l -> target`.
fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a directory").flatten() {
            let path = entry.path();
            let name = path.strip_prefix(directory).expect("beneath it").display().to_string();
            if path.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path).expect("it").display()));
            } else if path.is_dir() {
                found.push(format!("{name}/"));
                waiting.push(path);
            } else {
                found.push(format!("{name}={}", fs::read_to_string(&path).expect("it")));
            }
        }
    }
    found.sort();
    found
}

/// What a copy of `from` (a file that holds `new`, or a directory with `in`) to a place leaves there: the manual's
/// table. Nothing: the client refuses.
fn outcome(from: &str, to: &str) -> Option<&'static [&'static str]> {
    Some(match (from, to) {
        ("file", "missing" | "file") => &["d=new"],
        ("file", "dir" | "dir/") => &["d/", "d/s=new"],
        ("file", "link to a file") => &["d -> target", "target=new"],
        ("file", "link to a dir") => &["d -> target", "target/", "target/s=new"],
        ("dir" | "dir/." | "dir/", "missing" | "missing/") => &["d/", "d/in=new"],
        ("dir" | "dir/", "dir" | "dir/") => &["d/", "d/s/", "d/s/in=new"],
        ("dir/.", "dir" | "dir/") => &["d/", "d/in=new"],
        ("dir" | "dir/", "link to a dir") => &["d -> target", "target/", "target/s/", "target/s/in=new"],
        ("dir/.", "link to a dir") => &["d -> target", "target/", "target/in=new"],
        _ => return None,
    })
}

const SOURCES: [&str; 4] = ["file", "dir", "dir/.", "dir/"];
const PLACES: [&str; 8] =
    ["missing", "missing/", "file", "file/", "dir", "dir/", "link to a file", "link to a dir"];

/// Splits `dir/.` into what stands there and how the path ends.
fn ending(form: &str) -> (&str, &str) {
    match form.find('/') {
        Some(slash) => form.split_at(slash),
        None => (form, ""),
    }
}

/// A volume seen from both sides: the container's directory is one of the host.
struct Sides<'a> {
    docker: &'a Docker<'a>,
    name: String,
    host: std::path::PathBuf,
    volume: std::path::PathBuf,
}

impl Sides<'_> {
    fn clear(&self) {
        for directory in [&self.host, &self.volume] {
            let _ = fs::remove_dir_all(directory.join("w"));
            fs::create_dir_all(directory.join("w")).expect("a directory");
        }
    }

    fn lay_source(&self, directory: &Path, form: &str) {
        let place = directory.join("w/s");
        if form == "file" {
            fs::write(place, "new").expect("a file");
        } else {
            fs::create_dir(&place).expect("a directory");
            fs::write(place.join("in"), "new").expect("a file");
        }
    }

    /// Copies from one side to the other and checks the result.
    fn copy(&self, inwards: bool, from: &str, to: &str) {
        self.clear();
        let (source, target) = if inwards { (&self.host, &self.volume) } else { (&self.volume, &self.host) };
        let ((kind, end), (place, place_end)) = (ending(from), ending(to));
        self.lay_source(source, kind);
        lay(&target.join("w/d"), place);
        let before = tree(&target.join("w"));
        let local = |name: &str, end: &str| format!("{}/w/{name}{end}", self.host.display());
        let inside = |name: &str, end: &str| format!("{}:/v/w/{name}{end}", self.name);
        let paths = if inwards {
            [local("s", end), inside("d", place_end)]
        } else {
            [inside("s", end), local("d", place_end)]
        };
        let finished = self.docker.run(&["cp", &paths[0], &paths[1]]);
        let after = tree(&target.join("w"));
        let what = format!("{from} to {to}, inwards: {inwards}, client {}", self.docker.version());
        match outcome(from, to) {
            Some(expected) => {
                assert_eq!(finished.code, 0, "{what}: {finished:?}");
                assert_eq!(after, expected, "{what}");
            }
            None => {
                assert_eq!(finished.code, 1, "{what}: {finished:?}");
                assert_eq!(after, before, "{what}: refused, and nothing changed");
            }
        }
    }
}

#[test]
fn the_table_of_the_manual_both_ways() {
    let engine = Engine::start();
    for (number, docker) in clients(&engine).iter().enumerate() {
        let (host, volume) =
            (engine.directory().join(format!("h{number}")), engine.directory().join(format!("v{number}")));
        for directory in [&host, &volume] {
            fs::create_dir(directory).expect("a directory");
        }
        let name = format!("copied{number}");
        let bind = format!("{}:/v", volume.display());
        let _ = docker.ok(&["run", "-d", "--name", &name, "-v", &bind, "busybox", "sleep", "600"]);
        let sides = Sides { docker, name, host, volume };
        for from in SOURCES {
            for to in PLACES {
                sides.copy(true, from, to);
                // Out of the container the client itself replaces links.
                if !to.starts_with("link") {
                    sides.copy(false, from, to);
                }
            }
        }
    }
}

#[test]
fn links_owners_and_pipes() {
    let engine = Engine::start();
    let id = engine.create_named("web", &sh("sleep 600"));
    engine.start(&id);
    let work = engine.directory().join("work");
    for docker in clients(&engine) {
        let _ = fs::remove_dir_all(&work);
        fs::create_dir(&work).expect("a directory");
        let local = |name: &str| work.join(name).display().to_string();
        let script = "rm -rf /w; mkdir -p /w/d; cd /w; echo -n t > t; ln -s t l; ln -s d dl; echo -n i > d/i";
        assert_eq!(engine.exec(&id, &["sh", "-c", script]).code, 0);
        // A link is copied as one, or what it leads to.
        let _ = docker.ok(&["cp", "web:/w/l", &local("as-link")]);
        let _ = docker.ok(&["cp", "-L", "web:/w/l", &local("as-file")]);
        let _ = docker.ok(&["cp", "-L", "web:/w/dl", &local("as-dir")]);
        assert_eq!(tree(&work), ["as-dir/", "as-dir/i=i", "as-file=t", "as-link -> t"]);
        let _ = docker.ok(&["cp", &local("as-link"), "web:/w/back"]);
        fs::write(work.join("t"), "followed").expect("a file");
        let _ = docker.ok(&["cp", "-L", &local("as-link"), "web:/w/followed"]);
        let seen = engine.exec(&id, &["sh", "-c", "readlink /w/back; cat /w/followed"]).stdout;
        assert_eq!(seen, "t\nfollowed");
        // Owners stay.
        std::os::unix::fs::chown(work.join("as-file"), Some(1234), Some(1235)).expect("an owner");
        let owner = |name: &str| engine.exec(&id, &["stat", "-c", "%u:%g", name]).stdout;
        let _ = docker.ok(&["cp", &local("as-file"), "web:/w/rooted"]);
        assert_eq!(owner("/w/rooted"), "1234:1235\n", "since 1.29 with and without --archive");
        let _ = docker.ok(&["cp", "-a", &local("as-file"), "web:/w/kept"]);
        assert_eq!(owner("/w/kept"), "1234:1235\n");
        // Archives through the client's own streams.
        let written = docker.run_with_input(&["cp", "-", "web:/w/d"], &tarball::of(&[("piped", "p")]));
        assert_eq!(written.code, 0, "{written:?}");
        let out = docker.run(&["cp", "web:/w/d", "-"]);
        assert_eq!(out.code, 0);
        assert_eq!(tarball::names(out.stdout.as_bytes()), ["d", "d/i", "d/piped"]);
        // Errors name what is missing and the client ends.
        for (from, to, missing) in [
            ("web:/nosuch", "/tmp", "/nosuch"),
            ("nosuch:/x", "/tmp", "nosuch"),
            ("/no/such/local", "web:/w", "/no"),
        ] {
            let finished = docker.run(&["cp", from, to]);
            let stderr = finished.stderr.to_lowercase();
            // The client of 20.10 words a missing file itself, later ones give the engine's words.
            let says_so = ["no such", "could not find the file"].iter().any(|words| stderr.contains(words));
            assert!(
                finished.code == 1 && stderr.contains(missing) && says_so,
                "{from} to {to}: {finished:?}"
            );
        }
    }
}
