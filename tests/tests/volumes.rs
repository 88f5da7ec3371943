//! `Volumes`, `VolumesFrom` and names in `Binds`: what is copied, what is shared, what stays.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_tests::volumes::{HostDirectory, forget, forget_image, import_image, source, with_binds};
use berth_tests::{Client, Engine, merged, sh, wait};
use serde_json::{Value, json};

const LIST: &str = "cd /data && find . | sort | xargs stat -c '%n %a %u:%g %F %Y %s' && readlink link && readlink outside && cat seed deep/file";

#[test]
fn a_new_volume_gets_the_images_tree_as_it_is() {
    let engine = Engine::start();
    import_image(&engine, "tree");
    let on_image = |over: Value| merged(merged(sh(LIST), json!({ "Image": "tree" })), over);
    let script = |script: &str| json!({ "Cmd": ["sh", "-c", script] });
    let plain = engine.output(&on_image(json!({})));
    assert!(
        plain.code == 0 && plain.stdout.contains("./program 4755 0:1 regular file 1400000000"),
        "{plain:?}"
    );
    for over in [
        json!({ "Volumes": { "/data": {} } }),
        json!({ "Volumes": { "/to-data": {} } }),
        json!({ "HostConfig": { "Mounts": [{ "Type": "volume", "Target": "/data" }] } }),
    ] {
        assert_eq!(engine.output(&on_image(over.clone())), plain, "{over}");
    }
    let id = engine
        .run(&merged(on_image(json!({ "Volumes": { "/to-data": {} } })), script("echo new > /data/new")));
    assert_eq!(engine.wait(&id), 0, "the link's target is what is mounted on");
    let volume = source(&engine, &id, "/to-data");
    assert_eq!(std::fs::read_to_string(volume.join("new")).expect("in the volume"), "new\n");
    let found = std::fs::metadata(&volume).expect("the volume");
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o1777, 1000, 1001));

    let binds = json!({ "HostConfig": { "Binds": ["fresh:/data:nocopy"] } });
    let empty = engine.output(&merged(on_image(binds), script("ls /data")));
    assert_eq!((empty.code, empty.stdout.as_str()), (0, ""), "nocopy");
    let again = merged(on_image(json!({ "HostConfig": { "Binds": ["fresh:/data"] } })), script("ls /data"));
    assert!(engine.output(&again).stdout.contains("seed"), "an empty volume is filled");
    forget(&engine, "fresh");
    engine.remove(&id);
    forget_image(&engine, "tree");
}

#[test]
fn extended_attributes_and_hard_links_are_copied() {
    let engine = Engine::start();
    let maker = engine.run(&sh("mkdir /data && echo x > /data/a && ln /data/a /data/b && mkfifo /data/pipe"));
    assert_eq!(engine.wait(&maker), 0);
    let upper = engine.data_root().join("containers").join(&maker).join("upper/data");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(upper.join("a"), "user.note", b"kept", flags).expect("an attribute");
    rustix::fs::setxattr(&upper, "user.note", b"root", flags).expect("an attribute");
    let _ = engine.post_json(&format!("/commit?container={maker}&repo=noted"), &json!({})).expect(201);
    engine.remove(&maker);
    let body = merged(sh("true"), json!({ "Image": "noted", "Volumes": { "/data": {} } }));
    let id = engine.create(&body);
    let volume = source(&engine, &id, "/data");
    let attribute = |path: &Path| {
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(path, "user.note", &mut value[..]).expect("the attribute");
        value[..length].to_vec()
    };
    assert_eq!((attribute(&volume.join("b")), attribute(&volume)), (b"kept".to_vec(), b"root".to_vec()));
    let status = |name: &str| std::fs::symlink_metadata(volume.join(name)).expect("a file");
    assert_eq!((status("a").nlink(), status("a").ino()), (2, status("b").ino()));
    assert_eq!(status("pipe").mode() & 0o170_000, 0o010_000);
    engine.remove(&id);
    forget_image(&engine, "noted");
}

#[test]
fn volumes_are_shared_counted_and_kept() {
    let mut engine = Engine::start();
    let body = merged(
        sh("echo one > /anonymous/file; echo two > /named/file; sleep 600"),
        json!({ "Volumes": { "/anonymous": {} }, "HostConfig": { "Binds": ["shared.name:/named"] } }),
    );
    let owner = engine.create_named("owner", &body);
    engine.start(&owner);
    let anonymous = source(&engine, &owner, "/anonymous");
    wait::until("the files", || source(&engine, &owner, "/named").join("file").exists().then_some(()));

    let read = "cat /anonymous/file /named/file; touch /anonymous/x; echo $?; touch /named/x; echo $?";
    let from = |entry: &str| merged(sh(read), json!({ "HostConfig": { "VolumesFrom": [entry] } }));
    assert_eq!(engine.output(&from("owner")).stdout, "one\ntwo\n0\n0\n");
    assert_eq!(engine.output(&from("owner:rw")).stdout, "one\ntwo\n0\n0\n");
    assert_eq!(engine.output(&from("owner:ro")).stdout, "one\ntwo\n1\n1\n");
    let named = engine.output(&with_binds("cat /elsewhere/file", &["shared.name:/elsewhere:ro".to_owned()]));
    assert_eq!(named.stdout, "two\n");
    let reader = engine.create_named("reader", &from("owner:ro"));
    let writer = engine.create(&from("reader:rw"));
    engine.start(&writer);
    assert_eq!(engine.wait(&writer), 0);
    assert_eq!(engine.logs(&writer).0, "one\ntwo\n1\n1\n", "rw does not make writable what is not");
    engine.remove(&writer);

    // Everything is killed; the data is still there for those that come after.
    engine.kill_daemon();
    for shim in engine.shims() {
        let pid = i32::try_from(shim).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the shim to kill");
    }
    engine.start_daemon();
    assert_eq!(engine.output(&from("owner")).stdout, "one\ntwo\n0\n0\n");

    let _ = engine.delete(&format!("/containers/{owner}?force=1&v=1")).expect(204);
    assert!(anonymous.join("file").exists(), "another container uses it");
    let _ = engine.delete(&format!("/containers/{reader}?v=1")).expect(204);
    assert!(!anonymous.exists(), "nobody uses it any more");
    assert!(engine.data_root().join("volumes/shared.name/_data/file").exists(), "a name is kept");

    let kept = engine.run(&merged(sh("echo kept > /v/file"), json!({ "Volumes": { "/v": {} } })));
    assert_eq!(engine.wait(&kept), 0);
    let volume = source(&engine, &kept, "/v");
    let _ = engine.delete(&format!("/containers/{kept}")).expect(204);
    engine.replace_daemon();
    assert_eq!(
        std::fs::read_to_string(volume.join("file")).expect("the file"),
        "kept\n",
        "removed without v"
    );
    let name = volume.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a name");
    forget(&engine, name);
    forget(&engine, "shared.name");
}

#[test]
fn a_name_as_long_as_made_up_ones_is_still_a_name() {
    let engine = Engine::start();
    let name = "a".repeat(64);
    let id = engine.create(&with_binds("true", &[format!("{name}:/v")]));
    engine.remove(&id);
    assert!(engine.data_root().join("volumes").join(&name).exists());
    forget(&engine, &name);
}

/// So many strikes in any case, more until one came in time, and then it is a failure.
const STRIKES: std::ops::Range<u64> = 4..40;

#[test]
fn a_daemon_killed_while_it_fills_a_volume_leaves_none_or_a_whole_one() {
    let mut engine = Engine::start();
    let maker =
        engine.run(&sh("mkdir /data; i=0; while [ $i -lt 1500 ]; do echo $i > /data/$i; i=$((i+1)); done"));
    assert_eq!(engine.wait(&maker), 0);
    let _ = engine.post_json(&format!("/commit?container={maker}&repo=many"), &json!({})).expect(201);
    engine.remove(&maker);
    let body =
        merged(sh("ls /data | wc -l"), json!({ "Image": "many", "HostConfig": { "Binds": ["big:/data"] } }));
    let volumes = engine.data_root().join("volumes");
    let mut struck = 0;
    for round in 0..STRIKES.end {
        if round >= STRIKES.start && struck > 0 {
            break;
        }
        let client = Client::new(berth_tests::Address::Unix(engine.socket()));
        let request = body.to_string();
        let creating = std::thread::spawn(move || {
            let headers = [("Content-Type", "application/json")];
            client.attempt("POST", "/containers/create", &headers, request.as_bytes()).is_ok()
        });
        // Strikes when the volume has begun to fill, a little later each time.
        wait::until("a volume", || std::fs::read_dir(&volumes).ok()?.next().map(drop));
        std::thread::sleep(std::time::Duration::from_millis(round % STRIKES.start * 8));
        engine.kill_daemon();
        struck += u32::from(!creating.join().expect("the request"));
        engine.start_daemon();
        let left: Vec<_> = std::fs::read_dir(&volumes).expect("the volumes").flatten().collect();
        assert!(left.len() <= 1, "{left:?}");
        let output = engine.output(&body);
        assert_eq!(output.stdout.trim(), "1500", "round {round}: {output:?}");
        for container in engine.get("/containers/json?all=1").expect(200).json().as_array().expect("a list") {
            engine.remove(container["Id"].as_str().expect("an id"));
        }
        forget(&engine, "big");
    }
    assert!(struck > 0, "no kill came while a container was being made");
    forget_image(&engine, "many");
}

#[test]
fn a_start_with_settings_keeps_the_volumes_that_are_there() {
    let host = HostDirectory::new("start");
    let engine = Engine::start();
    let body = merged(
        sh("echo x > /v/file; ls /bound; sleep 600"),
        json!({ "Volumes": { "/v": {}, "/bound": {} } }),
    );
    let id = engine.create(&body);
    let (kept, replaced) = (source(&engine, &id, "/v"), source(&engine, &id, "/bound"));
    let binds = json!({ "Binds": [format!("{}:/bound", host.0.display())] });
    let _ = engine.post_json(&format!("/containers/{id}/start"), &binds).expect(204);
    assert_eq!(source(&engine, &id, "/v"), kept);
    assert_eq!(source(&engine, &id, "/bound"), host.0);
    assert!(!replaced.exists(), "nobody uses it any more");
    wait::until("the file", || kept.join("file").exists().then_some(()));

    let old = Client { prefix: "/v1.19".to_owned(), ..Client::clone(&engine) };
    let inspected = old.inspect(&id);
    assert_eq!(inspected["Volumes"], json!({ "/v": kept, "/bound": host.0 }));
    assert_eq!(inspected["VolumesRW"], json!({ "/v": true, "/bound": true }));
    assert_eq!(inspected["Mounts"], Value::Null);
}
