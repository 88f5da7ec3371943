//! Devices of the host in a container: requested ones are there, or the start reports the reason.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

#[test]
fn devices_are_added() {
    let engine = Engine::start();
    let device =
        json!([{ "PathOnHost": "/dev/zero", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rwm" }]);
    let script = "head -c 4 /dev/nothing | wc -c; mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem; echo mem $?";
    let output = engine.output(&merged(sh(script), json!({ "HostConfig": { "Devices": device } })));
    assert_eq!(output.stdout, "4\nmem 1\n", "{}", output.stderr);
    let empty = engine.directory().join("no-devices");
    std::fs::create_dir(&empty).expect("a directory");
    let device = json!([{ "PathOnHost": empty, "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" }]);
    let id = engine.create(&merged(sh("true"), json!({ "HostConfig": { "Devices": device } })));
    let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
    let words = format!("while adding custom device \"{}\": not a device node", empty.display());
    assert!(answer.text().contains(&words), "{}", answer.text());
}

#[test]
fn a_device_is_made_or_said_to_be_in_the_way_of_something() {
    let engine = Engine::start();
    let with = |inside: &str| {
        let device =
            json!([{ "PathOnHost": "/dev/zero", "PathInContainer": inside, "CgroupPermissions": "rwm" }]);
        merged(sh("echo started"), json!({ "HostConfig": { "Devices": device } }))
    };
    for place in ["/etc", "/etc/passwd", "/dev/null"] {
        let id = engine.create(&with(place));
        let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
        let words = format!("making the device node {place}: something else is there\n");
        assert!(answer.text().ends_with(&words), "{}", answer.text());
    }
    assert_eq!(engine.output(&with("/dev/zero")).stdout, "started\n", "the same device is there already");
    let id = engine.run(&with("/own"));
    let _ = engine.wait(&id);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0, "its own node of the first start is there");
}

#[test]
fn what_keeps_the_host_from_showing_a_device_or_source_is_said() {
    let engine = Engine::start();
    let path = engine.directory().join("loop");
    std::os::unix::fs::symlink(&path, &path).expect("a symlink");
    let shown = path.display();
    let device = json!([{ "PathOnHost": path, "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" }]);
    let id = engine.create(&merged(sh("true"), json!({ "HostConfig": { "Devices": device } })));
    let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
    assert!(text.contains(&format!("lstat {shown}: too many levels of symbolic links")), "{text}");
    let mounts = json!([{ "Type": "bind", "Source": path, "Target": "/x" }]);
    let body = merged(sh("true"), json!({ "HostConfig": { "Mounts": mounts } }));
    let text = engine.post_json("/containers/create", &body).expect(500).text();
    assert!(text.contains(&format!("stat {shown}: too many levels of symbolic links")), "{text}");
}
