//! Volumes that are mounts of their own: shared while containers run, seen by no other, found again by later daemons.

use berth_tests::tarball;
use berth_tests::volumes::{HostDirectory, import_image};

use super::*;

/// Volumes in memory, of at most a megabyte.
fn in_memory(name: &str) -> Value {
    json!({ "Name": name, "DriverOpts": { "type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=700" } })
}

#[test]
fn containers_share_a_volume_in_memory_while_any_of_them_runs() {
    let engine = Today::start();
    let made = volume(&engine, in_memory("memory"));
    assert_eq!(made["Options"], json!({ "type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=700" }));
    let first = engine.run(&on("memory", "echo one > /v/file; sleep 600"));
    berth_tests::wait::until("the file", || {
        (engine.exec(&first, &["cat", "/v/file"]).stdout == "one\n").then_some(())
    });
    let second = engine.output(&on("memory", "cat /v/file; df -k /v | tail -1; stat -c %a /v"));
    assert!(second.stdout.starts_with("one\n") && second.stdout.contains(" 1024 "), "{second:?}");
    assert!(second.stdout.ends_with("700\n"), "{second:?}");
    let host = std::fs::read_to_string("/proc/self/mountinfo").expect("the host's mounts");
    assert!(!host.contains(engine.daemon.directory().to_str().expect("a path")), "{host}");
    assert_eq!(std::fs::read_dir(content(&engine, "memory")).expect("a directory").count(), 0);
    assert_eq!(engine.exec(&first, &["cat", "/v/file"]).stdout, "one\n", "the second's end changes nothing");
    let _ = engine.delete("/volumes/memory").expect(409);
    engine.remove(&first);
    assert_eq!(engine.output(&on("memory", "ls -A /v")).stdout, "", "nothing is left of it");
    let _ = engine.delete("/volumes/memory").expect(204);
}

#[test]
fn a_later_daemon_finds_the_mount_again() {
    let mut engine = Today::start();
    let _ = volume(&engine, in_memory("memory"));
    let first = engine.run(&on("memory", "echo one > /v/file; sleep 600"));
    berth_tests::wait::until("the file", || {
        (engine.exec(&first, &["cat", "/v/file"]).stdout == "one\n").then_some(())
    });
    engine.daemon.replace_daemon();
    let second = engine.run(&on("memory", "cat /v/file; echo two > /v/more; sleep 600"));
    berth_tests::wait::until("the second file", || {
        (engine.exec(&first, &["cat", "/v/more"]).stdout == "two\n").then_some(())
    });
    engine.remove(&first);
    engine.daemon.replace_daemon();
    assert_eq!(engine.output(&on("memory", "cat /v/file /v/more")).stdout, "one\ntwo\n");
    engine.remove(&second);
}

#[test]
fn a_volume_is_not_mounted_any_more_when_its_last_container_has_ended_though_a_client_is_slow() {
    let engine = Today::start();
    let _ = volume(&engine, in_memory("memory"));
    let id = engine.run(&on("memory", "yes $(seq -s . 999) | head -c 8000000; echo full >&2; sleep 600"));
    let path = format!("/containers/{id}/logs?stderr=1&tail=1");
    berth_tests::wait::until("its output", || {
        engine.get(&path).expect(200).body.ends_with(b"full\n").then_some(())
    });
    let path = format!("/containers/{id}/attach?logs=1&stream=1&stdout=1");
    let (head, _slow) = engine.open("POST", &path, &[("Connection", "Upgrade"), ("Upgrade", "tcp")], b"");
    assert_eq!(head.status, 101);
    let shims = engine.daemon.shims();
    let held = || -> usize {
        let files = shims.iter().filter_map(|shim| std::fs::read_dir(format!("/proc/{shim}/fd")).ok());
        let names = files.flatten().flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        names.filter(|name| name.to_string_lossy().starts_with("mnt:[")).count()
    };
    assert_eq!(held(), 1);
    engine.remove(&id);
    assert_eq!(held(), 0, "the shim waits for the client alone");
}

#[test]
fn a_directory_of_the_host_is_a_volume() {
    let host = HostDirectory::new("device");
    // As all mounts of hosts that systemd has started.
    host.mount(&["-t", "tmpfs", "berth-test", "."]);
    host.mount(&["--make-shared", "."]);
    let engine = Today::start();
    import_image(&engine.daemon, "tree");
    let options = |o: &str| json!({ "type": "none", "o": o, "device": host.0 });
    let _ = volume(&engine, json!({ "Name": "writable", "DriverOpts": options("bind") }));
    let _ = volume(&engine, json!({ "Name": "fixed", "DriverOpts": options("bind,ro") }));
    let body = merged(
        sh("cat /data/seed; echo new > /data/new"),
        json!({ "Image": "tree", "HostConfig": { "Binds": ["writable:/data"] } }),
    );
    assert_eq!(engine.output(&body).stdout, "seed\n", "an empty directory gets the image's content");
    assert_eq!(std::fs::read_to_string(host.0.join("new")).expect("a file"), "new\n");
    let fixed = engine.output(&on("fixed", "cat /v/new; touch /v/x"));
    assert_eq!((fixed.stdout.as_str(), fixed.code), ("new\n", 1));
    for name in ["writable", "fixed"] {
        let _ = engine.delete(&format!("/volumes/{name}")).expect(204);
    }
    assert!(host.0.join("new").exists(), "the directory is the host's");
    let _ = engine.delete("/images/tree").expect(200);
}

#[test]
fn a_mount_that_the_host_refuses_fails_the_start_and_leaves_nothing() {
    let engine = Today::start();
    let options = json!({ "type": "none", "o": "bind", "device": "/no/such/directory" });
    let _ = volume(&engine, json!({ "Name": "missing", "DriverOpts": options }));
    let options = json!({ "type": "tmpfs", "o": "size=much", "device": "tmpfs" });
    let _ = volume(&engine, json!({ "Name": "wrong", "DriverOpts": options }));
    for (name, words) in [("missing", "/no/such/directory"), ("wrong", "size")] {
        let container = engine.create(&on(name, "true"));
        let text = engine.post(&format!("/containers/{container}/start")).expect(500).text();
        assert!(text.contains(name) && text.contains(words), "{text}");
        assert_eq!(engine.state(&container, "Running"), false);
        engine.remove(&container);
    }
}

#[test]
fn options_of_the_driver_are_checked_and_the_same_name_means_the_same_options() {
    let engine = Today::start();
    let create = |body: Value, status: u16| engine.post_json("/volumes/create", &body).expect(status).text();
    for (options, words) in [
        (json!({ "type": "tmpfs" }), "device"),
        (json!({ "device": "/x" }), "type"),
        (json!({ "size": "1g" }), "quota"),
    ] {
        let text = create(json!({ "Name": "data", "DriverOpts": options }), 400);
        assert!(text.contains(words), "{text}");
    }
    let made = volume(&engine, in_memory("memory"));
    assert_eq!(volume(&engine, in_memory("memory")), made);
    assert_eq!(
        volume(&engine, json!({ "Name": "memory" })),
        made,
        "who asks for no options gets what is there"
    );
    let other = json!({ "type": "tmpfs", "device": "tmpfs" });
    assert!(create(json!({ "Name": "memory", "DriverOpts": other }), 409).contains("other options"));
}

#[test]
fn files_of_a_container_that_does_not_run_lie_in_its_mounted_volume() {
    let host = HostDirectory::new("archive");
    let engine = Today::start();
    let options = json!({ "type": "none", "o": "bind", "device": host.0 });
    let _ = volume(&engine, json!({ "Name": "data", "DriverOpts": options }));
    let container = engine.create(&on("data", "true"));
    let bytes = tarball::of(&[("file", "text")]);
    let _ = engine
        .call("PUT", &format!("/containers/{container}/archive?path=/v"), &tarball::TAR, &bytes)
        .expect(200);
    assert_eq!(std::fs::read_to_string(host.0.join("file")).expect("a file"), "text");
    engine.remove(&container);
}

#[test]
fn an_empty_volume_gets_the_images_content_and_one_with_content_keeps_it() {
    let engine = Today::start();
    import_image(&engine.daemon, "tree");
    let at_data = |volume: &str, script: &str| {
        merged(sh(script), json!({ "Image": "tree", "HostConfig": { "Binds": [format!("{volume}:/data")] } }))
    };
    for name in ["empty", "full", "elsewhere"] {
        let _ = volume(&engine, json!({ "Name": name }));
    }
    std::fs::write(content(&engine, "full").join("own"), "").expect("a file");
    let filled = engine.output(&at_data("empty", "cat /data/seed; stat -c '%a %u:%g' /data"));
    assert_eq!(filled.stdout, "seed\n1777 1000:1001\n");
    assert_eq!(engine.output(&at_data("full", "ls -A /data")).stdout, "own\n");
    // The image has nothing there: owner and mode stay as they were set.
    std::os::unix::fs::chown(content(&engine, "elsewhere"), Some(7), Some(8)).expect("another owner");
    assert_eq!(engine.output(&on("elsewhere", "stat -c %u:%g /v; ls -A /v")).stdout, "7:8\n");
    let _ = engine.delete("/images/tree").expect(200);
}
