//! Failures at every step of a start, and `kill -9` of daemon and shims at any moment: nothing is left behind.
//!
//! The number of rounds with `kill -9` is small by default; `BERTH_CRASH_ROUNDS=300` makes a long test of it.

mod database;
mod half_moved;
mod networks;
mod workload;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use berth_tests::{Client, Engine, Options, Random, SetOnDrop, host, merged, sh, variable, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use workload::{Promised, Worker};

/// The steps of a start that the daemon lets fail when `BERTH_FAULT` names one.
const STEPS: [&str; 11] = [
    "look-up",
    "specification",
    "spawn",
    "before-gate",
    "at-gate",
    "scoped",
    "connected",
    "relayed",
    "named",
    "clients-joined",
    "started",
];

/// A container that uses everything: a network, a port, a volume, a bind, streams.
fn rich() -> Value {
    merged(
        sh("echo begun; sleep 600"),
        json!({ "OpenStdin": true, "Volumes": { "/v": {} }, "ExposedPorts": { "80/tcp": {} },
                "HostConfig": { "PublishAllPorts": true, "Binds": ["/var/tmp:/host"], "Memory": 67_108_864 } }),
    )
}

#[test]
fn a_start_that_fails_at_any_step_leaves_nothing() {
    for step in STEPS {
        let environment = vec![("BERTH_FAULT".to_owned(), step.to_owned())];
        let mut engine = Engine::start_with(Options { environment, ..Options::default() });
        let id = engine.create(&rich());
        let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
        for _ in 0..3 {
            let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
            assert!(answer.text().contains(step), "{step}: {}", answer.text());
            let state = engine.inspect(&id)["State"].clone();
            assert_eq!((&state["Running"], &state["Pid"]), (&json!(false), &json!(0)), "{step}");
        }
        assert!(stream.read_to_end().is_ok(), "{step}: an attached client is let go");
        assert_eq!(engine.shims(), BTreeSet::new(), "{step}: a shim is left");
        let own = |leak: &&String| {
            !leak.contains(&format!("containers/{id}"))
                && !leak.starts_with("file volumes/")
                && !leak.contains(" rows ")
        };
        let ids = BTreeSet::from([id.clone()]);
        wait::until(&format!("{step}: nothing left"), || {
            (!engine.leaks(&ids).iter().any(|leak| own(&leak))).then_some(())
        });
        engine.kill_daemon();
        engine.start_daemon_with(&[]);
        engine.start(&id);
        assert_eq!(engine.state(&id, "Running"), true, "{step}: it starts once the fault is gone");
    }
}

#[test]
fn a_bridge_that_somebody_removed_is_made_again_at_the_next_start() {
    let engine = Engine::start();
    let id = engine.create(&sh("sleep 600"));
    for link in host::interfaces_of(engine.network_pid()) {
        if link != "lo" {
            let _ = host::in_network_of(engine.network_pid(), &["ip", "link", "delete", &link]);
        }
    }
    engine.start(&id);
    let gateway = engine.inspect(&id)["NetworkSettings"]["Gateway"].as_str().expect("an address").to_owned();
    let reached = engine.exec(&id, &["ping", "-c1", "-W60", &gateway]);
    assert!(reached.stdout.contains("1 packets received"), "{}", reached.stdout);
}

#[test]
fn a_state_directory_that_cannot_be_written_fails_the_start() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let directory = engine.exec_root().join("containers");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::write(&directory, "in the way").expect("a file in the way");
    let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
    assert!(answer.text().starts_with(&format!("Cannot start container {id}: ")), "{}", answer.text());
    std::fs::remove_file(&directory).expect("the file to go");
    std::fs::create_dir(&directory).expect("the directory");
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
}

#[test]
fn kill_9_of_daemon_and_shims_at_any_moment() {
    let rounds = variable("BERTH_CRASH_ROUNDS").unwrap_or(12);
    let mut random = Random::announced();
    let mut engine = Engine::start();
    let client = Client::new(engine.address.clone());
    let stop = AtomicBool::new(false);
    let promised = Promised::default();
    std::thread::scope(|scope| {
        for number in 0..3 {
            let worker = Worker::new(&client, &promised, number);
            let stop = &stop;
            scope.spawn(move || worker.work(stop));
        }
        let _end = SetOnDrop(&stop);
        for round in 1..=rounds {
            std::thread::sleep(Duration::from_millis(random.below(250)));
            let shims: Vec<u32> = engine.shims().into_iter().collect();
            if random.below(3) == 0 && !shims.is_empty() {
                let chosen = usize::try_from(random.below(shims.len() as u64)).expect("an index");
                if let Some(pid) = i32::try_from(shims[chosen]).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            } else {
                engine.replace_daemon();
            }
            if round % 20 == 0 {
                eprintln!("round {round} of {rounds}");
            }
        }
    });
    engine.replace_daemon();
    let listed = engine.get("/containers/json?all=1").expect(200).json();
    let listed: BTreeSet<String> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|container| container["Id"].as_str().expect("an id").to_owned())
        .collect();
    let promised = promised.into_inner().expect("the promises");
    let missing: Vec<_> = promised.difference(&listed).collect();
    assert!(missing.is_empty(), "created and answered with 201, yet gone: {missing:?}");
    check_bridges(&engine);
    for id in &listed {
        check_networks(&engine, id);
        check_and_end(&engine, id);
    }
    wait::until("the shims' end", || engine.shims().is_empty().then_some(()));
    let _ = engine.at("1.55").post("/networks/prune").expect(200);
}

/// Each network has its bridge, and there is no other.
fn check_bridges(engine: &Engine) {
    let listed =
        engine.at("1.55").get("/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D").expect(200).json();
    let bridge = |network: &Value| format!("br-{}", &network["Id"].as_str().expect("an id")[..12]);
    let wanted: BTreeSet<String> = listed.as_array().expect("a list").iter().map(bridge).collect();
    let links = host::interfaces_of(engine.network_pid());
    let there: BTreeSet<String> = links.into_iter().filter(|link| link.starts_with("br-")).collect();
    assert_eq!(there, wanted, "the bridges of the networks that there are");
}

/// A running container has the addresses, the default route and the names that the engine shows.
fn check_networks(engine: &Engine, id: &str) {
    let seen = engine.at("1.55").inspect(id);
    let steady = seen["HostConfig"]["RestartPolicy"]["Name"].as_str() == Some("no");
    if seen["State"]["Running"] != true || seen["State"]["Paused"] == true || !steady {
        return;
    }
    // On a busy machine a daemon is there before it has settled what the last one died over.
    let note = engine.exec_root().join("containers").join(id).join("moving");
    wait::until("its networks are settled", || (!note.exists()).then_some(()));
    let seen = engine.at("1.55").inspect(id);
    let networks = seen["NetworkSettings"]["Networks"].as_object().expect("networks");
    let texts = |key: &str| -> BTreeSet<String> {
        let values = networks.values().filter_map(|endpoint| endpoint[key].as_str());
        values.filter(|text| !text.is_empty()).map(str::to_owned).collect()
    };
    let words = |script: &str| -> BTreeSet<String> {
        let output = engine.exec(id, &["sh", "-c", script]);
        output.stdout.split_whitespace().map(str::to_owned).collect()
    };
    let addresses = words("ip -4 -o addr show | awk '$2 != \"lo\" { sub(\"/.*\", \"\", $4); print $4 }'");
    assert_eq!(addresses, texts("IPAddress"), "addresses of IPv4 of {seen}");
    let addresses =
        words("ip -6 -o addr show scope global | awk '$2 != \"lo\" { sub(\"/.*\", \"\", $4); print $4 }'");
    assert_eq!(addresses, texts("GlobalIPv6Address"), "addresses of IPv6 of {seen}");
    let gateway = engine.inspect(id)["NetworkSettings"]["Gateway"].as_str().unwrap_or_default().to_owned();
    let default = words("ip route | awk '$1 == \"default\" { print $3 }'");
    assert_eq!(
        default,
        BTreeSet::from([gateway]).into_iter().filter(|it| !it.is_empty()).collect(),
        "{seen}"
    );
    let hosts = words("awk -v name=$(hostname) '$2 == name { print $1 }' /etc/hosts");
    let known: BTreeSet<String> = texts("IPAddress").union(&texts("GlobalIPv6Address")).cloned().collect();
    assert_eq!(hosts, known, "its own addresses in the hosts file of {seen}");
    let own = networks.keys().any(|name| !["bridge", "host", "none"].contains(&name.as_str()));
    let servers = words("grep nameserver /etc/resolv.conf");
    assert_eq!(servers.contains("127.0.0.11"), own, "the name server of {seen}: {servers:?}");
    // 127.0.0.11, as proc_pid_net(5) shows local addresses of sockets.
    let sockets = words("awk '$2 ~ /^0B00007F:/ { print $2 }' /proc/net/udp /proc/net/tcp");
    assert_eq!(!sockets.is_empty(), own, "the sockets of the name server of {seen}: {sockets:?}");
    if own {
        // nslookup gives up after some seconds, within which a busy machine may not run the shim.
        wait::until(&format!("its own name is known: {seen}"), || {
            let found = words(&format!("nslookup {} 127.0.0.11 | grep Address", &id[..12]));
            texts("IPAddress").into_iter().find(|address| found.contains(address))
        });
    }
}

/// A container is as the engine shows it, and can be used and ended.
fn check_and_end(engine: &Engine, id: &str) {
    let seen = engine.inspect(id);
    let state = &seen["State"];
    let steady = seen["HostConfig"]["RestartPolicy"]["Name"].as_str().is_none_or(str::is_empty);
    if state["Running"] == true && steady {
        let pid = state["Pid"].as_u64().expect("a pid");
        assert!(Path::new(&format!("/proc/{pid}")).exists(), "{id}: {state}");
        if state["Paused"] == true {
            let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
        }
        let output = engine.exec(id, &["echo", "fine"]);
        assert_eq!(output.stdout, "fine\n", "{output:?} in {seen}");
        let bindings = seen["NetworkSettings"]["Ports"]["80/tcp"].clone();
        if let Some(port) = bindings[0]["HostPort"].as_str() {
            let address = ([127, 0, 0, 1], port.parse().expect("a port")).into();
            assert!(host::fetch(engine.network_pid(), address, "/hostname").contains(&id[..12]), "{seen}");
        }
    }
    let status = engine.post(&format!("/containers/{id}/stop?t=0")).status();
    if steady {
        assert_eq!(status, if state["Running"] == true { 204 } else { 304 }, "{id}: {state}");
    }
    let _ = engine.wait(id);
    let _ = engine.get(&format!("/containers/{id}/logs?stdout=1&stderr=1")).expect(200);
    assert_eq!(engine.state(id, "Running"), false, "{id}");
}

#[test]
fn a_daemon_that_is_killed_while_it_imports_leaves_nothing() {
    let mut engine = Engine::start();
    for part in [10_usize, 100_000, 1_000_000] {
        let mut connection = engine.connect();
        let length = berth_tests::rootfs::busybox().len();
        let head = format!(
            "POST /v1.20/images/create?fromSrc=-&repo=half HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        );
        connection.send(head.as_bytes()).expect("the head");
        connection.send(&berth_tests::rootfs::busybox()[..part]).expect("a part of the body");
        std::thread::sleep(Duration::from_millis(50));
        engine.replace_daemon();
        let _ = engine.get("/images/half/json").expect(404);
        assert_eq!(engine.output(&sh("echo fine")).stdout, "fine\n");
    }
}
