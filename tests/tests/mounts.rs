//! `HostConfig.Mounts` since 1.25: each type with its options, what is refused, and how mounts are shown.

use berth_tests::today::Today;
use berth_tests::volumes::{HostDirectory, import_image};
use berth_tests::{Client, merged, sh};
use serde_json::{Value, json};

/// A container with mounts.
fn with(mounts: &[Value], script: &str) -> Value {
    merged(sh(script), json!({ "HostConfig": { "Mounts": mounts } }))
}

fn bind(host: &HostDirectory, over: Value) -> Value {
    merged(json!({ "Type": "bind", "Source": host.0, "Target": "/m" }), over)
}

/// A refusal's status and text.
fn refused(client: &Client, mounts: &[Value]) -> (u16, String) {
    let answer = client.post_json("/containers/create", &with(mounts, "true"));
    (answer.status(), answer.json()["message"].as_str().unwrap_or_default().to_lowercase())
}

/// A directory with another mount in it.
fn submounted(name: &str) -> HostDirectory {
    let host = HostDirectory::new(name);
    std::fs::create_dir(host.0.join("in")).expect("a directory");
    host.mount(&["-t", "tmpfs", "berth-test", "in"]);
    std::fs::write(host.0.join("in/there"), "").expect("a file");
    host
}

#[test]
fn read_only_binds_are_so_all_the_way_down_since_1_44() {
    let engine = Today::start();
    let host = submounted("recursive");
    let script = "touch /m/a 2>/dev/null && echo outer; touch /m/in/a 2>/dev/null && echo inner; true";
    let seen = |client: &Client, over: Value| client.output(&with(&[bind(&host, over)], script)).stdout;
    let options = |options: Value| json!({ "ReadOnly": true, "BindOptions": options });
    assert_eq!(seen(&engine, json!({})), "outer\ninner\n");
    assert_eq!(seen(&engine, options(json!({}))), "");
    assert_eq!(seen(&engine, options(json!({ "ReadOnlyForceRecursive": true }))), "");
    assert_eq!(seen(&engine, options(json!({ "ReadOnlyNonRecursive": true }))), "inner\n");
    assert_eq!(seen(&engine.at("1.43"), options(json!({}))), "inner\n");
    let classic =
        merged(sh(script), json!({ "HostConfig": { "Binds": [format!("{}:/m:ro", host.0.display())] } }));
    assert_eq!(engine.output(&classic).stdout, "");
    assert_eq!(engine.at("1.43").output(&classic).stdout, "inner\n");
    for options in [
        json!({ "BindOptions": { "ReadOnlyNonRecursive": true } }),
        options(json!({ "ReadOnlyNonRecursive": true, "ReadOnlyForceRecursive": true })),
        options(json!({ "ReadOnlyForceRecursive": true, "Propagation": "rshared" })),
    ] {
        let (status, text) = refused(&engine, &[bind(&host, options)]);
        assert!(status == 400 && text.contains("readonly"), "{text}");
    }
}

#[test]
fn what_is_mounted_beneath_a_bind_comes_along_unless_the_client_says_otherwise() {
    let engine = Today::start();
    let host = submounted("alone");
    let seen = |over: Value| engine.output(&with(&[bind(&host, over)], "ls /m/in")).stdout;
    assert_eq!(seen(json!({})), "there\n");
    assert_eq!(seen(json!({ "BindOptions": { "NonRecursive": true } })), "");
    let missing = host.0.join("deep/er");
    let source = |create: bool| json!({ "Source": missing, "BindOptions": { "CreateMountpoint": create } });
    let (status, text) = refused(&engine, &[bind(&host, source(false))]);
    assert!(status == 400 && text.contains("does not exist"), "{text}");
    assert_eq!(engine.output(&with(&[bind(&host, source(true))], "touch /m/made")).code, 0);
    assert!(missing.join("made").exists());
}

#[test]
fn what_the_host_does_not_share_cannot_be_shared() {
    let engine = Today::start();
    let host = HostDirectory::new("unshared");
    host.mount(&["-t", "tmpfs", "berth-test", "."]);
    let started = |propagation: &str| {
        let options = json!({ "BindOptions": { "Propagation": propagation } });
        let container = engine.create(&with(&[bind(&host, options)], "true"));
        let answer = engine.post(&format!("/containers/{container}/start"));
        (answer.status(), answer.text())
    };
    host.mount(&["--make-private", "."]);
    let refusal = |wanted: &str| {
        let path = host.0.display();
        format!("path {path} is mounted on {path} but it is not a {wanted} mount")
    };
    for (propagation, wanted) in [
        ("shared", "shared"),
        ("rshared", "shared"),
        ("slave", "shared or slave"),
        ("rslave", "shared or slave"),
    ] {
        let (status, text) = started(propagation);
        assert!(status == 500 && text.contains(&refusal(wanted)), "{propagation}: {status} {text}");
    }
    assert_eq!(started("rprivate").0, 204);
    host.mount(&["--make-shared", "."]);
    assert_eq!([started("rshared").0, started("rslave").0], [204, 204]);
}

#[test]
fn volumes_are_made_with_labels_and_options_and_mounted_in_parts() {
    let engine = Today::start();
    let volume = |name: &str, options: Value| json!({ "Type": "volume", "Source": name, "Target": "/v", "VolumeOptions": options });
    let driver =
        json!({ "Name": "local", "Options": { "type": "tmpfs", "device": "tmpfs", "o": "size=1m" } });
    let options = json!({ "Labels": { "a": "b" }, "DriverConfig": driver });
    let sized = engine.output(&with(&[volume("memory", options.clone())], "df -k /v | tail -1"));
    assert!(sized.stdout.contains(" 1024 "), "{sized:?}");
    let shown = engine.get("/volumes/memory").expect(200).json();
    assert_eq!((&shown["Labels"], &shown["Options"]), (&json!({ "a": "b" }), &driver["Options"]));

    let script =
        "mkdir -p /v/sub/deep; echo one > /v/sub/f; echo top > /v/file; ln -s sub /v/link; ln -s /etc /v/out";
    assert_eq!(engine.output(&with(&[volume("data", json!({}))], script)).code, 0);
    let part = |path: &str, script: &str| {
        engine.output(&with(&[volume("data", json!({ "Subpath": path }))], script)).stdout
    };
    assert_eq!(part("sub", "ls /v; echo new > /v/deep/new"), "deep\nf\n");
    assert_eq!(part("sub/deep", "cat /v/new"), "new\n");
    assert_eq!(part("link", "cat /v/f"), "one\n");
    let file = merged(volume("data", json!({ "Subpath": "file" })), json!({ "Target": "/etc/single" }));
    assert_eq!(engine.output(&with(&[file], "cat /etc/single")).stdout, "top\n");
    for path in ["/sub", "../x", "a/../../x"] {
        let (status, text) = refused(&engine, &[volume("data", json!({ "Subpath": path }))]);
        assert!(status == 400 && text.contains("relative"), "{text}");
    }
    for (path, status) in [("nothing", 404), ("out", 400)] {
        let container = engine.create(&with(&[volume("data", json!({ "Subpath": path }))], "ls /v"));
        let text = engine.post(&format!("/containers/{container}/start")).expect(status).text();
        assert!(text.contains(path), "{text}");
        engine.remove(&container);
    }
    // Of a volume that is a mount, too.
    let within = json!({ "DriverConfig": driver, "Subpath": "part" });
    let holder =
        engine.run(&with(&[volume("memory", options)], "mkdir /v/part; echo in > /v/part/f; sleep 600"));
    berth_tests::wait::until("the part", || {
        (engine.exec(&holder, &["cat", "/v/part/f"]).stdout == "in\n").then_some(())
    });
    assert_eq!(engine.output(&with(&[volume("memory", within)], "cat /v/f")).stdout, "in\n");
    engine.remove(&holder);
    let (status, text) = refused(&engine.at("1.44"), &[volume("data", json!({ "Subpath": "sub" }))]);
    assert!(status == 400 && text.contains("1.45"), "{text}");
    let bad = json!({ "DriverConfig": { "Options": { "foo": "x" } } });
    assert_eq!(refused(&engine, &[volume("other", bad)]).0, 400);
    let unknown = json!({ "DriverConfig": { "Name": "nosuch" } });
    assert_eq!(refused(&engine, &[volume("other", unknown)]).0, 404);
    let _ = engine.get("/volumes/other").expect(404);
}

#[test]
fn an_image_is_mounted_read_only_and_stays_while_a_container_has_it() {
    let engine = Today::start();
    import_image(&engine.daemon, "tree");
    let image =
        |options: Value| merged(json!({ "Type": "image", "Source": "tree", "Target": "/image" }), options);
    let part = image(json!({ "ImageOptions": { "Subpath": "data/deep" } }));
    let whole = engine.output(&with(&[image(json!({}))], "cat /image/data/seed; touch /image/x"));
    assert_eq!((whole.stdout.as_str(), whole.code), ("seed\n", 1));
    assert!(whole.stderr.contains("Read-only"), "{whole:?}");
    let container = engine.create(&with(&[part], "ls /image; cat /image/file"));
    let text = engine.delete("/images/tree").expect(409).text();
    assert!(text.contains(&container[..12]), "{text}");
    let _ = engine.daemon.post("/images/tree/tag?repo=other").expect(201);
    engine.start(&container);
    assert_eq!(engine.wait(&container), 0);
    assert_eq!(engine.logs(&container).0, "file\ndeep\n");
    engine.remove(&container);
    let missing = json!({ "Type": "image", "Source": "nosuch", "Target": "/image" });
    assert_eq!(refused(&engine, &[missing]).0, 404);
    assert_eq!(refused(&engine.at("1.47"), &[image(json!({}))]).0, 400);
    for name in ["tree", "other"] {
        let _ = engine.delete(&format!("/images/{name}")).expect(200);
    }
}

#[test]
fn memory_is_mounted_with_its_options() {
    let engine = Today::start();
    let memory = |options: Value| json!({ "Type": "tmpfs", "Target": "/m", "TmpfsOptions": options });
    let script = "cp /bin/busybox /m/echo && /m/echo ran; stat -c %a /m";
    let ran = engine.output(&with(&[memory(json!({ "Options": [["exec"]], "Mode": 448 }))], script));
    assert_eq!(ran.stdout, "ran\n700\n");
    let not = engine.output(&with(&[memory(json!({ "Options": [["noexec"]] }))], script));
    assert_eq!(not.stdout, "1777\n");
    let etc = json!({ "Type": "tmpfs", "Target": "/etc" });
    assert_eq!(engine.output(&with(&[etc], "stat -c %a /etc")).stdout, "755\n", "that of the image");
    let given = merged(sh("stat -c %a /etc"), json!({ "HostConfig": { "Tmpfs": { "/etc": "mode=711" } } }));
    assert_eq!(engine.output(&given).stdout, "711\n");
    for options in [
        json!({ "Options": [["bogus"]] }),
        json!({ "Options": [["size", "1m"]] }),
        json!({ "SizeBytes": -1 }),
    ] {
        let (status, text) = refused(&engine, &[memory(options)]);
        assert!(status == 400 && text.contains("invalid option"), "{text}");
    }
}

#[test]
fn what_cannot_be_mounted_is_refused_with_400() {
    let engine = Today::start();
    let short = json!({ "Type": "volume", "Source": "a", "Target": "/x" });
    let (status, text) = refused(&engine, &[short]);
    assert!(status == 400 && text.contains("volume name is too short"), "{text}");
    let host = HostDirectory::new("refused");
    let tmpfs = json!({ "Type": "tmpfs", "Target": "/m" });
    for (mounts, words) in [
        (vec![bind(&host, json!({ "Source": "rel/x" }))], "absolute"),
        (vec![bind(&host, json!({ "Source": "" }))], "source"),
        (vec![bind(&host, json!({ "Target": "rel" }))], "absolute"),
        (vec![bind(&host, json!({ "Target": "" }))], "target"),
        (vec![bind(&host, json!({ "Target": "/" }))], "'/'"),
        (vec![bind(&host, json!({ "VolumeOptions": { "NoCopy": true } }))], "volumeoptions"),
        (vec![bind(&host, json!({ "BindOptions": { "Propagation": "sideways" } }))], "propagation"),
        (vec![merged(tmpfs.clone(), json!({ "Source": "x" }))], "source"),
        (vec![bind(&host, json!({})), tmpfs.clone()], "duplicate"),
        (vec![tmpfs, bind(&host, json!({ "Target": "/x/../m" }))], "duplicate"),
        (vec![json!({ "Type": "npipe", "Target": "/m" })], "npipe"),
    ] {
        let (status, text) = refused(&engine, &mounts);
        assert!(status == 400 && text.contains(words), "{mounts:?}: {status} {text}");
    }
    let mismatch = bind(&host, json!({ "VolumeOptions": { "NoCopy": true } }));
    let old = engine.at("1.41");
    old.remove(&old.create(&with(&[mismatch], "true")));
}

#[test]
fn mounts_are_shown_as_each_version_knows_them() {
    let engine = Today::start();
    let host = HostDirectory::new("shown");
    let mounts = [
        bind(&host, json!({ "Consistency": "cached", "BindOptions": { "Propagation": "rslave" } })),
        json!({ "Type": "volume", "Source": "data", "Target": "/v", "ReadOnly": true }),
        json!({ "Type": "tmpfs", "Target": "/t" }),
    ];
    let container = engine.create(&with(&mounts, "true"));
    let shown = |version: &str| engine.at(version).inspect(&container)["Mounts"].clone();
    let source = engine.get("/volumes/data").expect(200).json()["Mountpoint"].clone();
    let today = json!([
        { "Type": "bind", "Source": host.0, "Destination": "/m", "Mode": "", "RW": true, "Propagation": "rslave" },
        {
            "Type": "volume", "Name": "data", "Source": source, "Destination": "/v", "Driver": "local", "Mode": "z",
            "RW": false, "Propagation": "",
        },
        { "Type": "tmpfs", "Source": "", "Destination": "/t", "Mode": "", "RW": true, "Propagation": "" },
    ]);
    assert_eq!(shown("1.55"), today);
    assert_eq!(engine.inspect(&container)["HostConfig"]["Mounts"][0]["Consistency"], "cached");
    let old = shown("1.24");
    assert_eq!(old.as_array().expect("a list").len(), 2);
    assert!(old[0].get("Type").is_none() && old[0]["Propagation"] == "rslave", "{old}");
    assert!(shown("1.21")[0].get("Propagation").is_none());
    let listed = |version: &str| {
        engine.at(version).get("/containers/json?all=1").expect(200).json()[0]["Mounts"].clone()
    };
    assert_eq!(listed("1.55"), today);
    assert_eq!(listed("1.22"), Value::Null);
}

#[test]
fn options_of_another_type_than_the_apis_are_refused() {
    let engine = Today::start();
    let host = HostDirectory::new("typed");
    let tmpfs = |options: Value| json!({ "Type": "tmpfs", "Target": "/m", "TmpfsOptions": options });
    let volume = |options: Value| json!({ "Type": "volume", "Target": "/m", "VolumeOptions": options });
    let image = json!({ "Type": "image", "Source": "busybox", "Target": "/m" });
    for (mount, words) in [
        (volume(json!({ "Subpath": 5 })), "volumeoptions: subpath: must be a string"),
        (volume(json!({ "NoCopy": "true" })), "volumeoptions: nocopy: must be a boolean"),
        (volume(json!({ "Labels": ["a"] })), "volumeoptions: labels: must be an object"),
        (volume(json!({ "DriverConfig": "local" })), "volumeoptions: driverconfig: must be an object"),
        (
            volume(json!({ "DriverConfig": { "Options": { "o": 1 } } })),
            "driverconfig.options.o: must be a string",
        ),
        (volume(json!("x")), "volumeoptions: must be an object"),
        (
            bind(&host, json!({ "BindOptions": { "NonRecursive": "true" } })),
            "nonrecursive: must be a boolean",
        ),
        (bind(&host, json!({ "BindOptions": { "Propagation": 1 } })), "propagation: must be a string"),
        (tmpfs(json!({ "SizeBytes": 1_048_576.5 })), "sizebytes: must be a whole number"),
        (tmpfs(json!({ "SizeBytes": "5" })), "sizebytes: must be a whole number"),
        (tmpfs(json!({ "Mode": "0700" })), "mode: must be a whole number"),
        (tmpfs(json!({ "Mode": 0o17_777_777 })), "the mode 17777777 has bits beyond 7777"),
        (tmpfs(json!({ "Options": "exec" })), "options: must be an array"),
        (tmpfs(json!({ "Unknown": 1 })), "the option unknown is not supported"),
        (merged(image, json!({ "ImageOptions": { "Subpath": ["etc"] } })), "subpath: must be a string"),
    ] {
        let (status, text) = refused(&engine, std::slice::from_ref(&mount));
        assert!(status == 400 && text.contains(words), "{mount}: {status} {text}");
    }
    let written = tmpfs(json!({ "sizebytes": 1_048_576, "Mode": null }));
    let id = engine.create(&with(&[written], "df -k /m | tail -n 1 | awk '{print $2}'"));
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.logs(&id).0, "1024\n", "fields in any case, as everywhere");
}
