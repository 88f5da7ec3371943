//! The modes none, host and container, and settings that contradict them.

use std::path::PathBuf;

use berth_tests::host::in_network_of;
use berth_tests::other_host::{OtherHost, Servers, ask};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

use crate::{address, idle, publishing, refused_start};

fn mode(mode: &str) -> Value {
    json!({ "HostConfig": { "NetworkMode": mode } })
}

fn namespace(engine: &Engine, id: &str) -> PathBuf {
    std::fs::read_link(format!("/proc/{}/ns/net", engine.pid(id))).expect("a namespace")
}

#[test]
fn without_a_network_there_is_only_a_loopback() {
    let engine = Engine::start();
    let script = sh("ls /sys/class/net; ping -c 1 -W 5 127.0.0.1 > /dev/null && echo up");
    assert_eq!(engine.output(&merged(script.clone(), mode("none"))).stdout, "lo\nup\n");
    assert_eq!(engine.output(&merged(script, json!({ "NetworkDisabled": true }))).stdout, "lo\nup\n");
    let id = engine.run(&merged(publishing(&["18080:80/tcp"]), mode("none")));
    let settings = engine.inspect(&id)["NetworkSettings"].clone();
    assert_eq!((&settings["IPAddress"], &settings["Ports"]), (&json!(""), &json!({})));
}

#[test]
fn the_hosts_network_is_the_hosts() {
    let engine = Engine::start();
    let own = std::fs::read_link(format!("/proc/{}/ns/net", engine.network_pid())).expect("a namespace");
    // Ports mean nothing there, a host name does.
    let id = engine.run(&merged(publishing(&["18080:80/tcp"]), mode("host")));
    assert_eq!(namespace(&engine, &id), own);
    let settings = engine.inspect(&id)["NetworkSettings"].clone();
    assert_eq!((&settings["IPAddress"], &settings["Ports"]), (&json!(""), &json!({})));
    let listeners = in_network_of(engine.network_pid(), &["cat", "/proc/net/tcp"]);
    assert!(!listeners.contains(&format!(":{:04X} ", 18080)), "{listeners}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    assert_eq!(engine.exec(&id, &["hostname"]).stdout, host);
    let named = merged(
        sh("hostname; cat /etc/hosts"),
        merged(mode("host"), json!({ "Hostname": "other", "HostConfig": { "ExtraHosts": ["x:10.1.2.3"] } })),
    );
    let output = engine.output(&named).stdout;
    let hosts = std::fs::read_to_string("/etc/hosts").expect("the host's names");
    assert_eq!(output, format!("other\n{}\n10.1.2.3\tx\n", hosts.trim_end_matches('\n')));
}

#[test]
fn a_joined_network_is_one_and_comes_back_with_its_owner() {
    let mut engine = Engine::start();
    let outside = OtherHost::beside(&engine);
    let owner = engine.create_named("owner", &publishing(&["18080:80/tcp"]));
    let joined = engine.create(&idle(mode("container:owner")));
    let text = refused_start(&engine, &joined, 500);
    assert_eq!(text, format!("cannot join network of a non running container: {owner}"));
    engine.start(&owner);
    engine.start(&joined);
    assert_eq!(namespace(&engine, &joined), namespace(&engine, &owner));
    for file in ["hostname", "hosts", "resolv.conf"] {
        let read = |id: &str| engine.exec(id, &["cat", &format!("/etc/{file}")]).stdout;
        assert_eq!(read(&joined), read(&owner), "{file}");
    }
    assert_eq!(engine.exec(&joined, &["hostname"]).stdout, format!("{}\n", &owner[..12]));
    // A container in the joined network answers at its owner's port, whatever happens to the owner.
    let _servers = Servers::start(engine.pid(&joined), 80, "joined");
    let reached = || ask(outside.pid(), (OtherHost::ENGINE, 18080)).ok();
    assert_eq!(reached(), Some(format!("joined {}", OtherHost::ADDRESS)));
    for round in 0..3 {
        if round == 1 {
            engine.replace_daemon();
        }
        match round {
            2 => {
                let _ = engine.post("/containers/owner/kill").expect(204);
                wait::until("its end", || (engine.state("owner", "Running") == false).then_some(()));
                wait::until("its link's end", || {
                    (!engine.exec(&joined, &["ls", "/sys/class/net"]).stdout.contains("eth0")).then_some(())
                });
                engine.start("owner");
            }
            _ => drop(engine.post("/containers/owner/restart?t=0").expect(204)),
        }
        assert_eq!(namespace(&engine, &joined), namespace(&engine, "owner"), "round {round}");
        let ip = address(&engine, "owner", "IPAddress");
        let shown = engine.exec(&joined, &["ip", "-o", "-4", "addr"]).stdout;
        assert!(shown.contains(&format!("inet {ip}/")), "round {round}: {shown}");
        assert!(engine.exec(&joined, &["cat", "/etc/hosts"]).stdout.contains(&ip.to_string()));
        assert_eq!(reached(), Some(format!("joined {}", OtherHost::ADDRESS)), "round {round}");
    }
    // Without processes in it the next run has a new one.
    let former = namespace(&engine, "owner");
    engine.remove(&joined);
    let _ = engine.post("/containers/owner/restart?t=0").expect(204);
    assert_ne!(namespace(&engine, "owner"), former);
}

#[test]
fn a_network_is_joined_whatever_its_owners_process_calls_itself() {
    let engine = Engine::start();
    // Neither UTF-8 nor what proc_pid_stat(5) shows behind a name that ends.
    let script = r"printf '\377) Z' > /proc/1/comm; echo named; while :; do sleep 600; done";
    let owner = engine.create_named("owner", &sh(script));
    engine.start(&owner);
    wait::until("its name", || (engine.logs(&owner).0 == "named\n").then_some(()));
    let joined = engine.create(&idle(mode("container:owner")));
    engine.start(&joined);
    assert_eq!(namespace(&engine, &joined), namespace(&engine, &owner));
    assert_eq!(engine.exec(&owner, &["cat", "/proc/1/comm"]).stdout.trim_end(), "\u{fffd}) Z");
}

#[test]
fn settings_that_contradict_the_mode_are_refused() {
    let engine = Engine::start();
    let owner = engine.create_named("owner", &idle(json!({})));
    engine.start(&owner);
    let ports = json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18080" }] } } });
    for (over, text) in [
        (json!({ "Hostname": "h" }), "-h and the network mode (--net)"),
        (ports, "-p, -P, --publish-all, --publish and the network mode (--net)"),
        (
            json!({ "HostConfig": { "PublishAllPorts": true } }),
            "-p, -P, --publish-all, --publish and the network mode (--net)",
        ),
        (json!({ "HostConfig": { "Dns": ["9.9.9.9"] } }), "--dns and the network mode (--net)"),
        (json!({ "HostConfig": { "ExtraHosts": ["x:1.2.3.4"] } }), "--add-host and the network mode (--net)"),
        (json!({ "MacAddress": "02:42:ac:11:00:99" }), "--mac-address and the network mode (--net)"),
        (
            json!({ "HostConfig": { "Links": ["owner:x"] } }),
            "--net=container can't be used with links. This would result in undefined behavior.",
        ),
    ] {
        let body = merged(idle(over), mode("container:owner"));
        let answer = engine.post_json("/containers/create", &body).expect(409);
        assert_eq!(answer.text(), format!("Conflicting options: {text}\n"));
        // Before 1.44 they are a conflict, as in the reference.
        let _ = engine.at("1.43").post_json("/containers/create", &body).expect(409);
        let _ = engine.at("1.44").post_json("/containers/create", &body).expect(400);
    }
    let body = merged(idle(json!({ "HostConfig": { "Links": ["owner:x"] } })), mode("host"));
    let answer = engine.post_json("/containers/create", &body).expect(409);
    assert!(answer.text().starts_with("Conflicting options: --net=host can't be used with links."));
    let _ = engine.at("1.44").post_json("/containers/create", &body).expect(400);
    let without_command = merged(body, json!({ "Cmd": null }));
    let answer = engine.post_json("/containers/create", &without_command).expect(409);
    assert!(
        answer.text().contains("can't be used with links"),
        "before what else it lacks: {}",
        answer.text()
    );
    let today = engine.at("1.44");
    let exposing = idle(json!({ "ExposedPorts": { "80/tcp": {} } }));
    let refused =
        today.post_json("/containers/create", &merged(exposing, mode("container:owner"))).expect(400);
    assert_eq!(
        refused.json()["message"],
        "conflicting options: ports to expose and the network mode container"
    );
    let body = merged(idle(json!({ "HostConfig": { "Links": ["nope:x"] } })), mode("host"));
    let answer = engine.post_json("/containers/create", &body).expect(500);
    assert_eq!(answer.text(), "Could not get container for nope\n");
    for (name, status, text) in [
        ("container:nope", 404, "no such id: nope"),
        ("container:", 500, "Prefix can't be empty"),
        ("nonsense", 404, "network nonsense not found"),
    ] {
        let id = engine.create(&idle(mode(name)));
        assert_eq!(refused_start(&engine, &id, status), text);
    }
}

#[test]
fn a_joined_network_stays_the_one_of_the_container_that_was_named() {
    let engine = Engine::start();
    let donor = engine.create_named("donor", &idle(json!({})));
    engine.start(&donor);
    let joined = engine.create(&idle(mode("container:donor")));
    let by_start = engine.create(&idle(mode(&format!("container:{}", &donor[..12]))));
    for id in [&joined, &by_start] {
        assert_eq!(engine.inspect(id)["HostConfig"]["NetworkMode"], format!("container:{donor}"));
    }
    engine.start(&joined);
    // Its name goes to another one.
    let _ = engine.post("/containers/donor/rename?name=former").expect(204);
    let other = engine.create_named("donor", &idle(json!({})));
    engine.start(&other);
    assert_ne!(namespace(&engine, &other), namespace(&engine, &joined), "nobody joined this one");
    let _ = engine.post(&format!("/containers/{joined}/restart?t=0")).expect(204);
    assert_eq!(namespace(&engine, &joined), namespace(&engine, &donor));
    engine.remove(&donor);
    let text = refused_start(&engine, &by_start, 404);
    assert_eq!(text, format!("no such id: {donor}"));
    // A container that is made later is found at the first start, and stays.
    let early = engine.create(&idle(mode("container:late")));
    let late = engine.create_named("late", &idle(json!({})));
    engine.start(&late);
    engine.start(&early);
    assert_eq!(engine.inspect(&early)["HostConfig"]["NetworkMode"], format!("container:{late}"));
}
