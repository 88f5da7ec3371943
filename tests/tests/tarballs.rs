//! Images as tarballs: what other tools write and read, what is hostile, and what a crash or a crowd leaves.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::rootfs::{append, busybox};
use berth_tests::saved::{SavedImage, sha256, tarball};
use berth_tests::{Engine, images, merged, sh};
use serde_json::{Value, json};
use tar::EntryType;

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

/// A layer with one file.
fn layer(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, name, EntryType::Regular, 0o644, content);
    archive.into_inner().expect("a layer")
}

fn run(program: &str, arguments: &[&str], directory: &Path) {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (see scripts/setup): {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn load(engine: &Engine, body: &[u8]) -> String {
    engine.call("POST", "/images/load", &TAR, body).expect(200).text()
}

fn id_of(engine: &Engine, name: &str) -> String {
    let image = engine.get(&format!("/images/{name}/json")).expect(200).json();
    image["Id"].as_str().expect("an id").to_owned()
}

fn count(directory: PathBuf) -> usize {
    std::fs::read_dir(directory).expect("a directory").count()
}

/// Directories of layers, those of the tests' own image among them.
fn layers(engine: &Engine) -> usize {
    count(engine.data_root().join("images/layers"))
}

/// Removes all images but the tests' own; everything they took on disk must be gone.
fn remove_made(engine: &Engine) {
    while let Some(image) =
        engine.get("/images/json?all=1").expect(200).json().as_array().and_then(|list| {
            list.iter().find(|image| image["RepoTags"] != json!(["busybox:latest"])).cloned()
        })
    {
        let id = image["Id"].as_str().expect("an id");
        let _ = engine.delete(&format!("/images/{id}?force=1&noprune=1")).expect(200);
    }
    assert_eq!(layers(engine), 1, "the disk is given back");
    assert_eq!(count(engine.data_root().join("images/temporary")), 0);
}

#[test]
fn other_tools_read_what_is_saved_and_write_what_is_loaded() {
    let engine = Engine::start();
    let directory = engine.directory().join("archives");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::write(directory.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)
        .expect("a policy");
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.join(name), bytes).expect(name);
    let read = |name: &str| std::fs::read(directory.join(name)).expect(name);
    // An image of elsewhere keeps its id, which is its config's digest, on every way there is.
    let top = layer("greeting", b"hello\n");
    let foreign = SavedImage {
        name: "foreign:v1".to_owned(),
        layers: vec![busybox(), &top],
        command: &["cat", "/greeting"],
    };
    let id = sha256(&foreign.config());
    assert_eq!(load(&engine, &tarball(&[foreign])), "");
    assert_eq!(id_of(&engine, "foreign:v1"), id);
    // One made here has a parent and an id of its own.
    let container = engine.run(&sh("echo made > /greeting; rm /etc/profile"));
    assert_eq!(engine.wait(&container), 0);
    let _ = engine.post(&format!("/commit?container={container}&repo=local&tag=v2")).expect(201);
    let local = id_of(&engine, "local:v2");
    engine.remove(&container);
    for (name, id, says) in [("foreign:v1", &id, "hello\n"), ("local:v2", &local, "made\n")] {
        let check = |how: &str| {
            // Of a config in its own form skopeo makes one in OCI's, which is another image.
            assert_eq!(id_of(&engine, name) == *id, how != "oci.tar", "{name} by {how}");
            let output = engine.output(&json!({ "Image": name, "Cmd": ["cat", "/greeting"] }));
            assert_eq!(output.stdout, says, "{name} by {how}");
            let _ = engine.delete(&format!("/images/{name}?force=1")).expect(200);
        };
        write("saved.tar", &engine.get(&format!("/images/{name}/get")).expect(200).body);
        let _ = engine.delete(&format!("/images/{name}")).expect(200);
        let docker = format!("docker-archive:saved.tar:{name}");
        let skopeo = |to: &str| {
            run("skopeo", &["--insecure-policy", "copy", "--quiet", &docker, to], &directory);
        };
        skopeo(&format!("docker-archive:again.tar:{name}"));
        skopeo(&format!("oci-archive:oci.tar:{name}"));
        for file in ["saved.tar", "again.tar", "oci.tar"] {
            assert_eq!(load(&engine, &read(file)), "", "{file}");
            check(file);
        }
        for file in ["again.tar", "oci.tar"] {
            std::fs::remove_file(directory.join(file)).expect("removed");
        }
        for program in ["gzip", "bzip2", "xz", "zstd"] {
            run(program, &["-k", "-f", "-q", "saved.tar"], &directory);
        }
        for file in ["saved.tar.gz", "saved.tar.bz2", "saved.tar.xz", "saved.tar.zst"] {
            assert_eq!(load(&engine, &read(file)), "", "{file}");
            check(file);
        }
    }
    buildah(&engine, &directory);
    std::fs::remove_dir_all(&directory).expect("removed");
    remove_made(&engine);
}

/// What buildah builds, in both forms that it writes.
fn buildah(engine: &Engine, directory: &Path) {
    std::fs::write(directory.join("busybox"), std::fs::read("/bin/busybox").expect("busybox-static"))
        .expect("a copy");
    let buildah = |arguments: &[&str]| {
        let places = ["--root", "storage", "--runroot", "run", "--storage-driver", "vfs"];
        let all: Vec<&str> = places.iter().chain(arguments).copied().collect();
        run("buildah", &all, directory);
    };
    buildah(&["from", "--name", "work", "scratch"]);
    buildah(&["copy", "--chmod", "0755", "work", "busybox", "/bin/busybox"]);
    buildah(&["config", "--cmd", "/bin/busybox echo built", "--env", "A=b", "work"]);
    for (form, tag) in [("docker-archive", "one"), ("oci-archive", "two")] {
        let target = format!("{form}:built.tar:built:{tag}");
        buildah(&["commit", "--quiet", "--signature-policy", "policy.json", "work", &target]);
        let _ = load(engine, &std::fs::read(directory.join("built.tar")).expect("an archive"));
        std::fs::remove_file(directory.join("built.tar")).expect("removed");
        let image = engine.get(&format!("/images/built:{tag}/json")).expect(200).json();
        assert!(image["Config"]["Env"].to_string().contains("A=b"), "{image}");
        assert_eq!(engine.output(&json!({ "Image": format!("built:{tag}") })).stdout, "built\n", "{form}");
    }
    buildah(&["rm", "work"]);
}

#[test]
fn a_tag_that_moves_is_told_and_names_decide_what_is_saved() {
    let engine = Engine::start();
    let image = |text: &'static str, name: &str, layer: &[u8]| {
        let name = name.to_owned();
        tarball(&[SavedImage { name, layers: vec![layer], command: &[text] }])
    };
    let (first, second) = (layer("f", b"first"), layer("f", b"second"));
    assert_eq!(load(&engine, &image("a", "moving:x", &first)), "");
    let old = id_of(&engine, "moving:x");
    let told = format!(
        "The image moving:x already exists, renaming the old one with ID {} to empty string\n",
        &old[..12]
    );
    assert_eq!(load(&engine, &image("b", "moving:x", &second)), told);
    assert_eq!(load(&engine, &image("b", "moving:x", &second)), "", "the same again is nothing new");
    let dangling = engine.get("/images/json?filters={%22dangling%22:[%22true%22]}").expect(200).json();
    assert_eq!(dangling[0]["Id"], json!(old));
    let _ = engine.post("/images/moving:x/tag?repo=moving&tag=y").expect(201);
    let names = |path: &str| -> Value {
        let body = engine.get(path).expect(200).body;
        let mut archive = tar::Archive::new(&body[..]);
        let mut found = Value::Null;
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            if entry.path().expect("a name").as_os_str() == "repositories" {
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                found = serde_json::from_str(&text).expect("JSON");
            }
        }
        found
    };
    let new = id_of(&engine, "moving:x");
    assert_eq!(names("/images/moving/get"), json!({ "moving": { "x": new, "y": new } }));
    assert_eq!(names("/images/moving:y/get"), json!({ "moving": { "y": new } }));
    assert_eq!(names(&format!("/images/{new}/get")), Value::Null);
    assert_eq!(names(&format!("/images/get?names={new}&names=moving:x")), json!({ "moving": { "x": new } }));
    assert_eq!(engine.get("/images/get").expect(200).body, [0; 1024]);
    let unknown = engine.get("/images/get?names=moving&names=nosuch").expect(404).text();
    assert_eq!(unknown, "could not find image: no such id: nosuch\n");
    remove_made(&engine);
}

#[test]
fn hostile_tarballs_are_refused_and_leave_nothing() {
    let engine = Engine::start();
    let good = layer("f", b"content");
    let image = SavedImage { name: "bad:x".to_owned(), layers: vec![&good], command: &["true"] };
    let config = image.config();
    let whole = tarball(&[image]);
    let made = |members: &[(&str, &[u8])]| {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in members {
            append(&mut archive, name, EntryType::Regular, 0o644, content);
        }
        archive.into_inner().expect("a tarball")
    };
    let manifest = |layers: &Value| {
        json!([{ "Config": "c.json", "RepoTags": ["bad:x"], "Layers": layers }]).to_string().into_bytes()
    };
    let other = layer("f", b"another");
    let many: Vec<String> = (0..10_000).map(|_| "l.tar".to_owned()).collect();
    let diff_ids: Vec<String> = many.iter().map(|_| format!("sha256:{}", sha256(&good))).collect();
    let towering = json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let mut climbing = layer("aaaa/planted", b"x");
    climbing[..7].copy_from_slice(b"../../p");
    let sum: u32 = climbing[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    climbing[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let empty: &[u8] = b"";
    let nothing = engine.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], empty);
    assert_eq!(nothing.expect(200).text(), "");
    for (what, body, says) in [
        ("garbage", b"this is no archive, however long it is".repeat(99), "tar header"),
        ("a cut-off tar", whole[..whole.len() / 2].to_vec(), "cut off"),
        (
            "a missing config",
            made(&[("manifest.json", &manifest(&json!(["l.tar"]))), ("l.tar", &good)]),
            "c.json",
        ),
        (
            "a missing layer",
            made(&[("c.json", &config), ("manifest.json", &manifest(&json!(["l.tar"])))]),
            "l.tar",
        ),
        (
            "another layer than the config says",
            made(&[("c.json", &config), ("l.tar", &other), ("manifest.json", &manifest(&json!(["l.tar"])))]),
            "sha256:",
        ),
        (
            "fewer layers than the config says",
            made(&[("c.json", &config), ("manifest.json", &manifest(&json!([])))]),
            "layers",
        ),
        (
            "ten thousand layers",
            made(&[
                ("c.json", towering.as_bytes()),
                ("l.tar", &good),
                ("manifest.json", &manifest(&json!(many))),
            ]),
            "500 layers",
        ),
        ("a deep manifest", made(&[("manifest.json", deep.as_bytes())]), "manifest.json"),
        ("a manifest that is no JSON", made(&[("manifest.json", b"\xff\xfe{")]), "manifest.json"),
        (
            "a path in the config's place",
            made(&[("manifest.json", &manifest(&json!(["/etc/passwd"])))]),
            "c.json",
        ),
        (
            "a layer that climbs",
            made(&[
                ("c.json", &config),
                ("l.tar", &climbing),
                ("manifest.json", &manifest(&json!(["l.tar"]))),
            ]),
            "leads out of its root",
        ),
        ("names of nothing", made(&[("repositories", br#"{"bad":{"x":"nosuch"}}"#)]), "nosuch"),
        ("files of another kind", made(&[("notes.txt", b"x"), ("pictures/one.png", b"y")]), "no image"),
        ("an empty json", made(&[("abc/json", empty)]), "abc/json"),
    ] {
        let answer = engine.call("POST", "/images/load", &TAR, &body).expect(500);
        assert!(answer.text().contains(says) && answer.text().ends_with('\n'), "{what}: {}", answer.text());
        let _ = engine.get("/images/bad:x/json").expect(404);
        assert_eq!(layers(&engine), 1, "{what}");
    }
    assert!(!engine.data_root().join("images/planted").exists());
    remove_made(&engine);
}

#[test]
fn an_image_of_many_layers_runs_and_gives_its_files_back() {
    let engine = Engine::start();
    let tops: Vec<Vec<u8>> = (0..130).map(|number| layer(&format!("l{number}"), b"x\n")).collect();
    let mut stack: Vec<&[u8]> = vec![busybox()];
    stack.extend(tops.iter().map(Vec::as_slice));
    let tower = SavedImage { name: "tower:latest".to_owned(), layers: stack, command: &["true"] };
    assert_eq!(load(&engine, &tarball(&[tower])), "");
    let container = engine
        .run(&json!({ "Image": "tower", "Cmd": ["sh", "-c", "rm /l7; echo new > /l8; ls / | grep -c ^l"] }));
    assert_eq!(engine.wait(&container), 0);
    assert_eq!(engine.logs(&container).0.trim(), "129");
    let exported = engine.get(&format!("/containers/{container}/export")).expect(200).body;
    let mut archive = tar::Archive::new(&exported[..]);
    let names: Vec<String> = archive
        .entries()
        .expect("an archive")
        .map(|entry| entry.expect("an entry").path().expect("a name").display().to_string())
        .collect();
    assert!(names.contains(&"l129".to_owned()) && !names.contains(&"l7".to_owned()));
    let got = engine.get(&format!("/containers/{container}/archive?path=/l8")).expect(200).body;
    assert!(String::from_utf8_lossy(&got).contains("new\n"));
    let _ = engine.post(&format!("/commit?container={container}&repo=higher")).expect(201);
    let script = "[ ! -e /l7 ] && cat /l8 /l129";
    assert_eq!(engine.output(&merged(sh(script), json!({ "Image": "higher" }))).stdout, "new\nx\n");
    let history = engine.get("/images/higher/history").expect(200).json();
    assert_eq!(history.as_array().map(Vec::len), Some(132));
    engine.remove(&container);
    remove_made(&engine);
}

/// An image of the test's own and one shared layer below it.
fn rival(number: usize, own: &[u8], shared: &[u8]) -> Vec<u8> {
    let name = format!("rival:{number}");
    tarball(&[SavedImage { name, layers: vec![shared, own], command: &["true"] }])
}

#[test]
fn a_crowd_that_loads_imports_commits_and_removes_the_same_leaves_a_whole_store() {
    let mut engine = Engine::start();
    let shared = layer("shared", &[7; 300_000]);
    let container = engine.run(&sh("head -c 300000 /dev/zero > /made"));
    assert_eq!(engine.wait(&container), 0);
    std::thread::scope(|scope| {
        let (engine, shared, container) = (&engine, &shared, &container);
        for number in 0..6 {
            scope.spawn(move || {
                let own = layer("own", format!("{}", number % 3).as_bytes());
                for round in 0..6 {
                    match (number + round) % 3 {
                        0 => drop(load(engine, &rival(number % 3, &own, shared))),
                        1 => engine.import(&format!("imported{}", number % 2), shared),
                        _ => {
                            let path = format!("/commit?container={container}&repo=made{}", number % 2);
                            let _ = engine.post(&path).expect(201);
                        }
                    }
                    for name in ["rival:0", "rival:1", "imported0", "made1"] {
                        let _ = images::remove_beside_others(engine, name);
                    }
                }
            });
        }
    });
    let check = |engine: &Engine| {
        for image in engine.get("/images/json").expect(200).json().as_array().expect("a list") {
            let id = image["Id"].as_str().expect("an id");
            let body = engine.get(&format!("/images/{id}/get")).expect(200).body;
            assert!(tar::Archive::new(&body[..]).entries().expect("an archive").all(|entry| entry.is_ok()));
        }
    };
    check(&engine);
    engine.replace_daemon();
    check(&engine);
    engine.remove(&container);
    remove_made(&engine);
}

#[test]
fn a_daemon_that_dies_while_an_image_comes_leaves_none_of_it() {
    let mut engine = Engine::start();
    let large = layer("large", &[9; 6_000_000]);
    let image = SavedImage { name: "half:x".to_owned(), layers: vec![busybox(), &large], command: &["true"] };
    let whole = tarball(&[image]);
    for (path, body) in
        [("/images/load", whole.as_slice()), ("/images/create?fromSrc=-&repo=half&tag=x", large.as_slice())]
    {
        for part in [1_000, body.len() / 3, body.len() - 600] {
            let mut connection = engine.connect();
            let head =
                format!("POST /v1.20{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.send(head.as_bytes()).expect("the head");
            connection.send(&body[..part]).expect("a part");
            engine.replace_daemon();
            let _ = engine.get("/images/half:x/json").expect(404);
            assert_eq!(layers(&engine), 1, "{path} after {part} bytes");
            assert_eq!(count(engine.data_root().join("images/temporary")), 0);
        }
    }
    assert_eq!(load(&engine, &whole), "");
    engine.replace_daemon();
    let output = engine.output(&json!({ "Image": "half:x", "Cmd": ["sh", "-c", "wc -c < /large"] }));
    assert_eq!(output.stdout.trim(), "6000000", "what was answered is there");
    remove_made(&engine);
}
