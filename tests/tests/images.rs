//! Images as far as running needs them: import, load, list, inspect, delete.

use std::process::Command;

use berth_tests::rootfs::{append, busybox};
use berth_tests::services::Service;
use berth_tests::{Engine, Options, cli, piped, program, query};
use serde_json::{Value, json};
use tar::EntryType;

/// Imports an archive; gives the last id that the stream shows.
fn import(engine: &Engine, parameters: &str, archive: &[u8]) -> String {
    let path = format!("/images/create?fromSrc=-{parameters}");
    let answer = engine.call("POST", &path, &[("Content-Type", "application/x-tar")], archive).expect(200);
    assert_eq!(answer.head.header("content-type"), Some("application/json"));
    let text = answer.text();
    let last = text.lines().rfind(|line| !line.is_empty()).expect("a line");
    let last: Value = serde_json::from_str(last).expect("JSON");
    let status = last["status"].as_str().unwrap_or_else(|| panic!("an id as status: {text}"));
    status.trim_start_matches("sha256:").to_owned()
}

/// A small archive whose only file differs from others.
fn small(text: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "file", EntryType::Regular, 0o644, text.as_bytes());
    archive.into_inner().expect("the archive")
}

#[test]
fn an_imported_image_is_listed_and_inspected() {
    let engine = Engine::start();
    let id = import(&engine, "&repo=imported&tag=v1&message=by%20hand", &small("one"));
    assert_eq!(id.len(), 64, "bare digits at this version: {id}");
    let listed = engine.get("/images/json").expect(200).json();
    let entry =
        listed.as_array().expect("a list").iter().find(|image| image["RepoTags"] == json!(["imported:v1"]));
    let entry = entry.unwrap_or_else(|| panic!("not listed: {listed}"));
    assert_eq!(entry["Id"], id.as_str());
    for field in ["Created", "Size", "VirtualSize"] {
        assert!(entry[field].is_i64() || entry[field].is_u64(), "{field}: {entry}");
    }
    for name in ["imported:v1", id.as_str(), &id[..12]] {
        let image = engine.get(&format!("/images/{name}/json")).expect(200).json();
        assert_eq!(image["Id"], id.as_str(), "{name}");
        assert_eq!(image["Comment"], "by hand");
        assert_eq!((&image["Os"], &image["Architecture"]), (&json!("linux"), &json!("amd64")));
    }
    assert_eq!(engine.get("/images/imported/json").expect(404).text(), "No such image: imported\n");
    let _ = engine.delete("/images/imported:v1").expect(200);
}

#[test]
fn compressed_archives_are_taken() {
    let engine = Engine::start();
    for (number, (program, arguments)) in
        [("gzip", ["-c"]), ("bzip2", ["-c"]), ("xz", ["-c"]), ("zstd", ["-c"])].into_iter().enumerate()
    {
        let bytes = piped(program, &arguments, busybox());
        let name = format!("packed{number}");
        let _ = import(&engine, &format!("&repo={name}"), &bytes);
        let output = engine.output(&json!({ "Image": name, "Cmd": ["echo", program] }));
        assert_eq!((output.code, output.stdout.trim()), (0, program));
        let _ = engine.delete(&format!("/images/{name}")).expect(200);
    }
}

#[test]
fn chunked_bodies_are_taken() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    let head = "POST /v1.20/images/create?fromSrc=-&repo=chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
                Content-Type: application/x-tar\r\n\r\n";
    connection.send(head.as_bytes()).expect("the head");
    for piece in small("chunks").chunks(700) {
        connection.send(format!("{:x}\r\n", piece.len()).as_bytes()).expect("a chunk's head");
        connection.send(piece).expect("a chunk");
        connection.send(b"\r\n").expect("a chunk's end");
    }
    connection.send(b"0\r\n\r\n").expect("the end");
    assert_eq!(connection.read_head().expect("an answer").status, 200);
    let _ = engine.get("/images/chunked/json").expect(200);
    let _ = engine.delete("/images/chunked").expect(200);
}

#[test]
fn what_is_no_archive_makes_no_image() {
    let engine = Engine::start();
    let truncated = &busybox()[..100_000];
    for body in [b"this is no archive".as_slice(), &[0x1f, 0x8b, 8, 0, 1, 2, 3], truncated] {
        let path = "/images/create?fromSrc=-&repo=bad";
        let answer = engine.call("POST", path, &[("Content-Type", "application/x-tar")], body);
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (500, "the archive is cut off: unexpected EOF\n")
        );
        let _ = engine.get("/images/bad/json").expect(404);
    }
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_nothing() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    let length = busybox().len();
    let head = format!(
        "POST /v1.20/images/create?fromSrc=-&repo=half HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.send(head.as_bytes()).expect("the head");
    connection.send(&busybox()[..length / 2]).expect("half of the body");
    drop(connection);
    let _ = engine.get("/images/half/json").expect(404);
}

#[test]
fn an_image_with_containers_is_kept() {
    let engine = Engine::start();
    let _ = import(&engine, "&repo=used", busybox());
    let id = engine.run(&json!({ "Image": "used", "Cmd": ["sleep", "600"] }));
    let image = engine.get("/images/used/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    let answer = engine.delete(&format!("/images/{image}")).expect(409);
    assert!(answer.text().starts_with("Conflict"), "{}", answer.text());
    engine.remove(&id);
    let answer = engine.delete("/images/used").expect(200).json();
    let acts = answer.as_array().expect("a list");
    assert!(acts.iter().any(|act| act["Untagged"] == "used:latest"), "{answer}");
    assert!(acts.iter().any(|act| act["Deleted"].is_string()), "{answer}");
    assert_eq!(engine.delete("/images/used").expect(404).text(), "No such image: used\n");
}

#[test]
fn lists_are_filtered() {
    let engine = Engine::start();
    let id = import(&engine, "&repo=dangling", &small("first"));
    let _ = import(&engine, "&repo=dangling", &small("second"));
    let filter = query(&[("filters", &json!({ "dangling": ["true"] }).to_string())]);
    let listed = engine.get(&format!("/images/json{filter}")).expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["Id"], id.as_str());
    assert_eq!(listed[0]["RepoTags"], json!(["<none>:<none>"]));
    let others = query(&[("filters", r#"{"dangling":["false"]}"#)]);
    let others = engine.get(&format!("/images/json{others}")).expect(200).json().to_string();
    assert!(others.contains("dangling:latest") && others.contains(&id), "only `true` filters: {others}");
    let neither = query(&[("filters", r#"{"dangling":["bogus"]}"#)]);
    let refused = engine.get(&format!("/images/json{neither}")).expect(500).text();
    assert_eq!(refused, "invalid filter 'dangling=[bogus]'\n");
    let named = engine.get("/images/json?filter=dangling").expect(200).json();
    assert_eq!(named.as_array().map(Vec::len), Some(1), "{named}");
    let answer = engine.get("/images/json?filters=%7Bbad");
    assert_eq!(answer.status(), 500);
    let _ = engine.delete(&format!("/images/{id}")).expect(200);
    let _ = engine.delete("/images/dangling").expect(200);
}

#[test]
fn links_that_lead_out_of_an_archive_write_nothing_outside() {
    let engine = Engine::start();
    let target = engine.directory().join("outside");
    std::fs::create_dir(&target).expect("a directory outside");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    archive.append_link(&mut header, "escape", &target).expect("a link");
    append(&mut archive, "escape/planted", EntryType::Regular, 0o644, b"x");
    let mut bytes = archive.into_inner().expect("the archive");
    let _ = engine.call("POST", "/images/create?fromSrc=-&repo=evil", &[], &bytes);
    let mut up = tar::Builder::new(Vec::new());
    append(&mut up, "aa/aa/planted", EntryType::Regular, 0o644, b"x");
    bytes = up.into_inner().expect("the archive");
    bytes[..5].copy_from_slice(b"../..");
    let sum: u32 = bytes[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let _ = engine.call("POST", "/images/create?fromSrc=-&repo=evil2", &[], &bytes);
    assert_eq!(std::fs::read_dir(&target).expect("the directory").count(), 0);
    assert!(!engine.data_root().join("planted").exists());
    for name in ["evil", "evil2"] {
        let _ = engine.delete(&format!("/images/{name}"));
    }
    std::fs::remove_dir_all(&target).expect("the directory to go");
}

#[test]
fn the_specified_tarball_layout_is_loaded() {
    let engine = Engine::start();
    let base = "a".repeat(64);
    let top = "b".repeat(64);
    let mut archive = tar::Builder::new(Vec::new());
    let entries: [(&str, &str, &[u8]); 2] = [(&base, "", busybox()), (&top, &base, &small("top layer"))];
    for (id, parent, layer) in entries {
        let mut config = json!({
            "id": id, "created": "2020-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
            "config": { "Cmd": ["cat", "/file"], "Env": ["FROM=load"] },
        });
        if !parent.is_empty() {
            config["parent"] = json!(parent);
        }
        append(&mut archive, &format!("{id}/VERSION"), EntryType::Regular, 0o644, b"1.0");
        append(&mut archive, &format!("{id}/json"), EntryType::Regular, 0o644, config.to_string().as_bytes());
        append(&mut archive, &format!("{id}/layer.tar"), EntryType::Regular, 0o644, layer);
    }
    let repositories = json!({ "loaded": { "v2": top } }).to_string();
    append(&mut archive, "repositories", EntryType::Regular, 0o644, repositories.as_bytes());
    let bytes = archive.into_inner().expect("the archive");
    let answer =
        engine.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &bytes).expect(200);
    assert!(!answer.text().contains("\"error\""), "{}", answer.text());
    let output = engine.output(&json!({ "Image": "loaded:v2" }));
    assert_eq!((output.code, output.stdout.as_str()), (0, "top layer"));
    let _ = engine.delete("/images/loaded:v2").expect(200);
    let answer = engine.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], b"no archive");
    assert_eq!((answer.status(), answer.text().as_str()), (500, "the archive is cut off: unexpected EOF\n"));
}

#[test]
fn a_first_image_comes_of_busybox_or_of_a_directory() {
    let engine = Engine::start_with(Options { without_image: true, ..Options::default() });
    let host = format!("unix://{}", engine.socket().display());
    let image = |arguments: &[&str]| {
        let mut command = Command::new(program("berth", "BERTH_DAEMON"));
        let output = command.arg("image").args(arguments).args(["--host", &host]).output().expect("berth");
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (made, id) = image(&["busybox"]);
    assert!(made && id.trim().len() == 64, "{id}");
    let body = json!({ "Image": "busybox", "Cmd": ["sh", "-c", "id -un; ls -ld /tmp /root | cut -c1-10; env ls /bin/busybox"] });
    assert_eq!(engine.output(&body).stdout, "root\ndrwx------\ndrwxrwxrwt\n/bin/busybox\n");
    assert_eq!(engine.get("/images/busybox/json").expect(200).json()["Config"]["Cmd"], json!(["sh"]));
    let root = engine.directory().join("root");
    std::fs::create_dir_all(root.join("bin")).expect("a directory");
    std::fs::copy("/bin/busybox", root.join("bin/cat")).expect("busybox-static");
    std::fs::write(root.join("note"), "from a directory\n").expect("a file");
    let path = root.display().to_string();
    let (made, id) = image(&["directory", &path, "tree:v1", "--change", "CMD [\"cat\", \"/note\"]"]);
    assert!(made, "{id}");
    assert_eq!(engine.output(&json!({ "Image": "tree:v1" })).stdout, "from a directory\n");
    for (arguments, says) in [
        (&["directory", "/", "x"][..], "is mounted in it"),
        (&["directory", "/nonexistent", "x"], "/nonexistent"),
        (&["directory", &path, "Bad!"], "the daemon refused the image: repository name"),
        (&["directory", &path, "x", "--change", "RUN x"], "run is not a valid change command"),
        (&["busybox", "--program", "/bin/true"], "it lists no programs"),
    ] {
        let (made, said) = image(arguments);
        assert!(!made && said.starts_with("berth: ") && said.contains(says), "{arguments:?}: {said}");
    }
    std::fs::remove_dir_all(root).expect("removed");
    for name in ["busybox", "tree:v1"] {
        let _ = engine.delete(&format!("/images/{name}")).expect(200);
    }
}

#[test]
fn the_clients_import_under_a_name_with_a_tag() {
    let engine = Engine::start();
    let archive = small("by the client");
    for docker in cli::clients(&engine) {
        let finished =
            docker.run_with_input(&["import", "--change", "CMD [\"x\"]", "-", "by/client:v3"], &archive);
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{}", finished.stdout);
        let image = engine.get("/images/by/client:v3/json").expect(200).json();
        assert_eq!((&image["Config"]["Cmd"], &image["Comment"]), (&json!(["x"]), &json!("Imported from -")));
        assert_eq!(
            docker.ok(&["images", "-q", "by/client:v3"]).trim(),
            &image["Id"].as_str().expect("an id")[..12]
        );
        let _ = engine.delete("/images/by/client:v3").expect(200);
    }
    let path = "/images/create?fromSrc=-&repo=a:x&tag=y";
    let _ = engine.call("POST", path, &[("Content-Type", "application/x-tar")], &archive).expect(500);
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let engine = Engine::start();
    let entry = |name: &str, kind: EntryType, link: &str| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_size(0);
        archive.append_link(&mut header, name, link).expect("an entry");
        archive.into_inner().expect("an archive")
    };
    let huge = |size: &str| {
        let mut archive = entry("huge", EntryType::Regular, "x");
        archive[124..135].copy_from_slice(size.as_bytes());
        let sum: u32 =
            (0..512).map(|at| if (148..156).contains(&at) { 32 } else { u32::from(archive[at]) }).sum();
        archive[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive
    };
    let passwd = std::fs::read("/etc/passwd").expect("the host's");
    for (what, cause, body) in [
        (
            "a hard link to the host",
            "cannot link \"link\" to \"etc/passwd\": no such file or directory",
            entry("link", EntryType::Link, "/etc/passwd"),
        ),
        (
            "a hard link that climbs",
            "the archive's entry \"../../../../../etc/passwd\" leads out of its root",
            entry("link", EntryType::Link, "../../../../../etc/passwd"),
        ),
        ("an entry larger than any disk", "the archive is cut off: unexpected EOF", huge("77777777777")),
        (
            "a size that is no number",
            "invalid tar header at byte 0: its size is no number",
            huge("zzzzzzzzzzz"),
        ),
        (
            "two gzips of nothing",
            "the archive is cut off: unexpected EOF",
            piped("gzip", &["-c"], &piped("gzip", &["-c"], b"")),
        ),
        (
            "a cut-off zstd",
            "the archive is cut off: unexpected EOF",
            piped("zstd", &["-q", "-c"], busybox())[..50_000].to_vec(),
        ),
    ] {
        let path = "/images/create?fromSrc=-&repo=hostile";
        let answer = engine.call("POST", path, &[("Content-Type", "application/x-tar")], &body).expect(500);
        assert_eq!(answer.text(), format!("{cause}\n"), "{what}");
        let _ = engine.get("/images/hostile/json").expect(404);
        let images = engine.data_root().join("images");
        for (place, left) in [("layers", 1), ("temporary", 0)] {
            assert_eq!(std::fs::read_dir(images.join(place)).expect(place).count(), left, "{what}: {place}");
        }
    }
    assert_eq!(std::fs::read("/etc/passwd").expect("the host's"), passwd);
    // Devices and setuid programs are an image's own business: they are kept, and harmless in a container.
    let _ = import(&engine, "&repo=hostile", &entry("dev/kmsg", EntryType::Char, "x"));
    let _ = engine.delete("/images/hostile").expect(200);
}

/// What an import by URL streams.
fn imported_from(engine: &Engine, address: &str, parameters: &str) -> Vec<Value> {
    let path = format!("/images/create{}{parameters}", query(&[("fromSrc", address)]));
    let answer = engine.post(&path).expect(200);
    serde_json::Deserializer::from_slice(&answer.body)
        .into_iter()
        .map(|message| message.expect("JSON"))
        .collect()
}

#[test]
fn archives_are_fetched_from_urls() {
    let engine = Engine::start();
    let web = Service::web(&engine, 8099);
    web.page("root.tar.gz", piped("gzip", &["-c"], busybox()));
    web.page("garbage", b"this is no archive".repeat(99));
    let address = web.url("root.tar.gz");
    let messages = imported_from(&engine, &address, "&repo=fetched&tag=v1&changes=CMD%20echo%20hi");
    assert_eq!(messages[0]["status"], format!("Downloading from {address}"));
    assert!(messages.iter().any(|message| message["status"] == "Importing"), "{messages:?}");
    let image = engine.get("/images/fetched:v1/json").expect(200).json();
    assert_eq!(messages.last().expect("the id")["status"], image["Id"]);
    assert_eq!(image["Comment"], format!("Imported from {address}"));
    assert_eq!(engine.output(&json!({ "Image": "fetched:v1" })).stdout, "hi\n");
    let missing = web.url("missing.tar");
    for (address, says) in [
        (missing.as_str(), "404"),
        (&web.url("garbage"), "tar header"),
        ("http://127.0.0.1:1/x", "127.0.0.1:1"),
        ("ftp://127.0.0.1/x", "ftp"),
        ("file:///etc/passwd", "file"),
    ] {
        let path = format!("/images/create{}&repo=bad", query(&[("fromSrc", address)]));
        let text = engine.post(&path).text();
        assert!(text.contains("\"error\"") && text.contains(says), "{address}: {text}");
        let _ = engine.get("/images/bad/json").expect(404);
    }
    // Export is import's inverse.
    let container = engine.create(&json!({ "Image": "fetched:v1" }));
    let exported = engine.get(&format!("/containers/{container}/export")).expect(200).body;
    let _ = import(&engine, "&repo=again", &exported);
    let listing = |image: &str| {
        let script = "find / -xdev ! -path '/proc*' ! -path '/dev*' ! -path '/sys*' -exec ls -ldn {} + | cut -c1-40,53-";
        engine.output(&json!({ "Image": image, "Cmd": ["sh", "-c", script] })).stdout
    };
    assert!(listing("again").lines().count() > 100);
    assert_eq!(listing("again"), listing("fetched:v1"));
    engine.remove(&container);
    for name in ["fetched:v1", "again"] {
        let _ = engine.delete(&format!("/images/{name}")).expect(200);
    }
}
