//! `Binds` and `Mounts`: every mode, bad ones, and links that would lead out.

use std::path::Path;

use berth_tests::silent_mount::SilentMount;
use berth_tests::volumes::{HostDirectory, forget_image, import_image, with_binds};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

#[test]
fn binds_of_every_mode() {
    let host = HostDirectory::new("modes");
    host.mount(&["-t", "tmpfs", "berth-test", "."]);
    host.mount(&["--make-shared", "."]);
    let engine = Engine::start();
    let modes =
        ["", "rw", "ro", "z", "Z", "ro,Z", "private", "rprivate", "slave", "ro,rslave", "shared", "rshared"];
    let binds: Vec<String> = modes
        .iter()
        .enumerate()
        .map(|(place, mode)| {
            let mode = if mode.is_empty() { String::new() } else { format!(":{mode}") };
            format!("{}:/m{place}{mode}", host.0.display())
        })
        .collect();
    let script =
        "for i in 0 1 2 3 4 5 6 7 8 9 10 11; do touch /m$i/w$i 2>/dev/null; echo $?; done; sleep 600";
    let body = merged(with_binds(script, &binds), json!({ "HostConfig": { "Privileged": true } }));
    let id = engine.run(&body);
    let codes = wait::until("the touches", || {
        let codes: Vec<String> = engine.logs(&id).0.lines().map(str::to_owned).collect();
        (codes.len() == modes.len()).then_some(codes)
    });
    let inspected = engine.inspect(&id)["Mounts"].clone();
    for (place, mode) in modes.iter().enumerate() {
        let writable = !mode.starts_with("ro");
        assert_eq!(codes[place] == "0", writable, "{mode}");
        let destination = format!("/m{place}");
        let mounts = inspected.as_array().expect("a list");
        let mount = mounts.iter().find(|mount| mount["Destination"] == destination).expect("the mount");
        let wanted = json!({ "Source": host.0, "Destination": destination, "Mode": mode, "RW": writable });
        assert_eq!(*mount, wanted);
    }
    // What the host mounts beneath comes to slaves and shared ones, and to no other.
    std::fs::create_dir(host.0.join("from-host")).expect("a directory");
    host.mount(&["-t", "tmpfs", "berth-test", "from-host"]);
    let seen = engine.exec(&id, &["cat", "/proc/self/mounts"]).stdout;
    for (place, mode) in modes.iter().enumerate() {
        let wanted = mode.contains("slave") || mode.contains("shared");
        assert_eq!(seen.contains(&format!(" /m{place}/from-host ")), wanted, "{mode}");
    }
    // What the container mounts comes to the host from shared ones alone.
    for place in [8, 10] {
        let script = format!("mkdir /m{place}/in-{place} && mount -t tmpfs inside /m{place}/in-{place}");
        assert_eq!(engine.exec(&id, &["sh", "-c", &script]).code, 0);
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    assert!(mounts.contains(&format!("{}/in-10 ", host.0.display())), "shared");
    assert!(!mounts.contains(&format!("{}/in-8 ", host.0.display())), "slave");
}

#[test]
fn sources_are_made_and_kinds_must_fit() {
    let host = HostDirectory::new("kinds");
    let (missing, file) = (host.0.join("not/there"), host.0.join("file"));
    std::fs::write(&file, "content\n").expect("a file");
    let engine = Engine::start();
    let output = engine.output(&with_binds(
        "ls -d /x && cat /some/new/place && echo more >> /some/new/place",
        &[format!("{}:/x", missing.display()), format!("{}:/some/new/place", file.display())],
    ));
    assert_eq!((output.code, output.stdout.as_str()), (0, "/x\ncontent\n"));
    assert!(missing.is_dir(), "a missing source is a directory from the start on");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "content\nmore\n");
    let words = |source: &str, from: &Path, target: &str| {
        format!("mounting the {source} {} at the {target}: not a directory", from.display())
    };
    for (from, to, cause) in [
        (&file, "/etc", words("file", &file, "directory /etc")),
        (&host.0, "/etc/passwd", words("directory", &host.0, "file /etc/passwd")),
    ] {
        let id = engine.create(&with_binds("true", &[format!("{}:{to}", from.display())]));
        let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
        assert_eq!(answer.text(), format!("Cannot start container {id}: [8] System error: {cause}\n"));
    }
    // One mount beneath another, in whatever order they are named.
    let inner = host.0.join("inner");
    std::fs::create_dir(&inner).expect("a directory");
    std::fs::write(inner.join("deep"), "deep\n").expect("a file");
    let binds = [format!("{}:/a/b/c", inner.display()), format!("{}:/a", host.0.display())];
    std::fs::create_dir_all(host.0.join("b/c")).expect("directories");
    let output = engine.output(&with_binds("cat /a/b/c/deep /a/file", &binds));
    assert_eq!(output.stdout, "deep\ncontent\nmore\n");
}

#[test]
fn bad_ones_are_refused_and_leave_nothing() {
    let engine = Engine::start();
    let binds = |bind: &str| json!({ "HostConfig": { "Binds": [bind] } });
    let mount = |fields: Value| json!({ "HostConfig": { "Mounts": [fields] } });
    let prohibited = "[8] System error: mounting into / is prohibited\n";
    let long = format!("{}:/x", "n".repeat(256));
    for (status, over, text) in [
        (500, binds(""), "Invalid volume specification: \n"),
        (500, binds("/tmp"), "Invalid volume specification: /tmp\n"),
        (500, binds("/tmp:/x:ro:rw"), "Invalid volume specification: /tmp:/x:ro:rw\n"),
        (500, binds("/tmp:/x:foo"), "invalid mode for volumes-from: foo\n"),
        (500, binds("/tmp:/x:ro,rw"), "invalid mode for volumes-from: ro,rw\n"),
        (500, binds("/tmp:/x:shared,slave"), "invalid mode for volumes-from: shared,slave\n"),
        (500, binds("/tmp:/x:nocopy"), "invalid mode for volumes-from: nocopy\n"),
        (500, binds("/tmp:x"), "the destination must be an absolute path\n"),
        (500, binds(":/x"), "Unable to setup mount point, neither source nor volume defined\n"),
        (500, binds("/tmp:/"), prohibited),
        (500, binds("/tmp:/x/../.."), prohibited),
        (500, binds("/tmp:"), prohibited),
        (500, binds("../up:/x"), "includes invalid characters for a local volume name"),
        (500, binds("a/b:/x"), "includes invalid characters for a local volume name"),
        (500, binds(&long), "includes invalid characters for a local volume name"),
        (500, json!({ "HostConfig": { "Binds": ["/tmp:/x", "/etc:/x/"] } }), "Duplicate bind mount /x\n"),
        (500, json!({ "Volumes": { "/": {} } }), prohibited),
        (
            500,
            json!({ "Volumes": { "/etc/passwd": {} } }),
            "cannot mount volume over existing file, file exists /etc/passwd\n",
        ),
        (500, json!({ "Volumes": ["/v"] }), "Volumes"),
        (500, json!({ "Volumes": { "/v": 5 } }), "Volumes"),
        (404, json!({ "HostConfig": { "VolumesFrom": ["nope"] } }), "no such id: nope\n"),
        (500, json!({ "HostConfig": { "VolumesFrom": [""] } }), "malformed volumes-from specification: \n"),
        (500, json!({ "HostConfig": { "VolumesFrom": [":ro"] } }), "Prefix can't be empty\n"),
        (500, json!({ "HostConfig": { "VolumesFrom": ["a:b:c"] } }), "invalid mode for volumes-from: b:c\n"),
        (
            500,
            json!({ "HostConfig": { "VolumesFrom": ["nope:foo"] } }),
            "invalid mode for volumes-from: foo\n",
        ),
        (
            404,
            json!({ "VolumeDriver": "nodriver", "Volumes": { "/v": {} } }),
            "Error looking up volume plugin nodriver: Plugin not found\n",
        ),
        (
            404,
            json!({ "HostConfig": { "VolumeDriver": "nodriver", "Binds": ["named:/v"] } }),
            "Error looking up volume plugin nodriver: Plugin not found\n",
        ),
        (
            500,
            mount(json!({ "Type": "volume", "Source": "n", "Target": "v" })),
            "the target 'v' is not usable\n",
        ),
        (
            500,
            mount(json!({ "Type": "bind", "Source": "/no/such", "Target": "/v" })),
            "bind source path does not exist: /no/such\n",
        ),
        (
            500,
            mount(json!({ "Type": "npipe", "Source": "/tmp", "Target": "/v" })),
            "mount type \"npipe\" is not known\n",
        ),
        (
            500,
            mount(
                json!({ "Type": "bind", "Source": "/tmp", "Target": "/v", "BindOptions": { "Propagation": "odd" } }),
            ),
            "invalid propagation mode: odd\n",
        ),
        (
            500,
            mount(
                json!({ "Type": "bind", "Source": "/tmp", "Target": "/v", "BindOptions": { "Recursive": true } }),
            ),
            "the option Recursive is not supported\n",
        ),
        (
            500,
            mount(
                json!({ "Type": "volume", "Target": "/v", "VolumeOptions": { "DriverConfig": { "Options": { "type": "nfs" } } } }),
            ),
            "missing required option: \"device\"\n",
        ),
        (
            404,
            mount(
                json!({ "Type": "volume", "Target": "/v", "VolumeOptions": { "DriverConfig": { "Name": "rexray" } } }),
            ),
            "Error looking up volume plugin rexray: Plugin not found\n",
        ),
        // The first is fine and would be made; the second fails the whole.
        (
            500,
            json!({ "Volumes": { "/etc/passwd": {} }, "HostConfig": { "Binds": ["made:/x"] } }),
            "cannot mount volume over existing file, file exists /etc/passwd\n",
        ),
    ] {
        let answer = engine.post_json("/containers/create", &merged(sh("true"), over.clone())).expect(status);
        assert!(
            answer.text().ends_with(text) || answer.text().contains(text.trim_end()),
            "{over}: {}",
            answer.text()
        );
    }
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json(), json!([]));
    assert_eq!(std::fs::read_dir(engine.data_root().join("volumes")).expect("the volumes").count(), 0);
}

#[test]
fn links_and_dots_never_lead_out_of_the_container() {
    let host = HostDirectory::new("hostile");
    std::fs::write(host.0.join("file"), "mine\n").expect("a file");
    let engine = Engine::start();
    import_image(&engine, "hostile");
    let at = |place: &str, script: &str| {
        merged(with_binds(script, &[format!("{}:{place}", host.0.display())]), json!({ "Image": "hostile" }))
    };
    for (place, seen_at) in [
        ("/to-data", "/data"),
        ("/to-host", "/tmp/berth-escape"),
        ("/to-data/../../../etc/below", "/etc/below"),
        ("/a/../../../b", "/b"),
    ] {
        let output = engine.output(&at(place, &format!("cat {seen_at}/file")));
        assert_eq!((output.code, output.stdout.as_str()), (0, "mine\n"), "{place}: {output:?}");
    }
    assert!(!Path::new("/tmp/berth-escape").exists() && !Path::new("/etc/below").exists());
    for (place, cause) in [
        ("/to-climb", "mounting into / is prohibited"),
        ("/proc", "/proc cannot be mounted because it is inside /proc"),
        ("/proc/sys", "/proc/sys cannot be mounted because it is inside /proc"),
        ("/to-proc", "/to-proc cannot be mounted because it is inside /proc"),
    ] {
        let id = engine.create(&at(place, "true"));
        let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
        assert_eq!(answer.text(), format!("Cannot start container {id}: [8] System error: {cause}\n"));
    }
    // A volume's content comes from the image, never from the host that the link seems to name.
    let body =
        merged(sh("ls -a /tmp/berth-escape"), json!({ "Image": "hostile", "Volumes": { "/to-host": {} } }));
    assert_eq!(engine.output(&body).stdout, ".\n..\n");
    let devices = engine.output(&at("/dev/mine", "cat /dev/mine/file; test -c /dev/null && echo null"));
    assert_eq!(devices.stdout, "mine\nnull\n");
    for container in engine.get("/containers/json?all=1").expect(200).json().as_array().expect("a list") {
        engine.remove(container["Id"].as_str().expect("an id"));
    }
    forget_image(&engine, "hostile");
}

#[test]
fn a_file_system_that_does_not_answer_holds_up_none_but_those_that_need_it() {
    // More than the daemon has threads for the requests of all.
    const COUNT: usize = 6;
    let mut silent = SilentMount::new("silent");
    let engine = &Engine::start();
    let bind = [format!("{}:/data", silent.path().display())];
    let create = |_| engine.create(&with_binds("true", &bind));
    let started: Vec<String> = (0..COUNT).map(create).collect();
    let read: Vec<String> = (0..COUNT).map(create).collect();
    std::thread::scope(|scope| {
        let (mut starts, mut reads) = (Vec::new(), Vec::new());
        for id in &started {
            starts.push(scope.spawn(move || engine.post(&format!("/containers/{id}/start"))));
        }
        silent.await_looks(COUNT);
        let _ = engine.get("/version").expect(200);
        for id in &read {
            reads.push(
                scope.spawn(move || engine.get(&format!("/containers/{id}/archive?path=/bin/busybox"))),
            );
        }
        silent.await_looks(COUNT);
        let _ = engine.get("/version").expect(200);
        assert_eq!(engine.output(&sh("echo here")).stdout, "here\n");
        drop(silent);
        for start in starts {
            let answer = start.join().expect("a client").expect(500);
            assert!(answer.text().contains("stat /"), "{}", answer.text());
        }
        for read in reads {
            let _ = read.join().expect("a client").expect(200);
        }
    });
}
