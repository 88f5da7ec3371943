//! Namespaces of other containers, and the permission to join them.

use super::*;

/// A namespace of a container's first process.
fn namespace(client: &Client, id: &str, name: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{}/ns/{name}", client.pid(id))).expect("a namespace");
    link.display().to_string()
}

#[test]
fn shareable_ipc_is_shared_and_private_is_not() {
    let engine = Today::start();
    let giver = engine.run(&with("sleep 600", json!({ "IpcMode": "shareable" })));
    let joins = |id: &str| with("sleep 600", json!({ "IpcMode": format!("container:{id}") }));
    let taker = engine.run(&joins(&giver));
    assert_eq!(namespace(&engine, &giver, "ipc"), namespace(&engine, &taker, "ipc"));
    assert_eq!(engine.exec(&giver, &["sh", "-c", "echo x > /dev/shm/file"]).code, 0);
    assert_eq!(engine.exec(&taker, &["cat", "/dev/shm/file"]).stdout, "x\n");
    for mode in [json!("private"), json!("none"), Value::Null] {
        let private = engine.run(&with("sleep 600", json!({ "IpcMode": mode })));
        let outsider = engine.create(&joins(&private));
        let refused = engine.post(&format!("/containers/{outsider}/start")).expect(400).message();
        assert!(refused.contains("non-shareable IPC"), "{mode}: {refused}");
    }
    // Before 1.40, the default namespace can be joined.
    let old = engine.at("1.39").run(&sh("sleep 600"));
    assert_eq!(host(&engine.at("1.39"), &old)["IpcMode"], "shareable");
    let taker = engine.run(&joins(&old));
    assert_eq!(namespace(&engine, &old, "ipc"), namespace(&engine, &taker, "ipc"));
}

#[test]
fn without_ipc_there_is_no_shared_memory() {
    let engine = Today::start();
    let count = |mode: &str| {
        let script = "grep -c ' /dev/shm ' /proc/mounts; df -k /dev/shm | tail -n 1 | awk '{print $2}'";
        engine.output(&with(script, json!({ "IpcMode": mode, "ShmSize": 32 << 20 }))).stdout
    };
    assert!(count("none").starts_with("0\n"), "{}", count("none"));
    assert_eq!(count("private"), "1\n32768\n");
}

#[test]
fn processes_and_networks_are_shared() {
    let engine = Today::start();
    let owner = engine.run(&sh("sleep 600"));
    let joined = engine.run(&with(
        "sleep 600",
        json!({ "PidMode": format!("container:{owner}"), "NetworkMode": format!("container:{owner}") }),
    ));
    for name in ["pid", "net"] {
        assert_eq!(namespace(&engine, &owner, name), namespace(&engine, &joined, name), "{name}");
    }
    assert_eq!(host(&engine, &joined)["PidMode"], json!(format!("container:{owner}")));
    assert_ne!(namespace(&engine, &owner, "ipc"), namespace(&engine, &joined, "ipc"));
}

#[test]
fn joined_namespaces_are_those_of_the_container_that_was_named() {
    let engine = Today::start();
    let shareable = || with("sleep 600", json!({ "IpcMode": "shareable" }));
    let donor = engine.create_named("donor", &shareable());
    engine.start(&donor);
    let joins = json!({ "IpcMode": "container:donor", "PidMode": "container:donor" });
    let joined = engine.create(&with("sleep 600", joins));
    let _ = engine.post("/containers/donor/rename?name=former").expect(204);
    let other = engine.create_named("donor", &shareable());
    engine.start(&other);
    engine.start(&joined);
    for (name, field) in [("ipc", "IpcMode"), ("pid", "PidMode")] {
        assert_eq!(namespace(&engine, &joined, name), namespace(&engine, &donor, name), "{name}");
        assert_eq!(host(&engine, &joined)[field], format!("container:{donor}"));
    }
}
