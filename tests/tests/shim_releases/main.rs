//! A daemon of this release takes over containers whose shims are of earlier ones: it does all that these can do.

mod translator;

use berth_tests::{Engine, merged, sh, wait};
use serde_json::json;
use translator::{Release, Translator};

/// Lets a container's shim pass for one of an earlier release, and starts the next daemon.
fn take_over(engine: &mut Engine, id: &str, release: Release) -> Translator {
    let pid = engine.pid(id);
    engine.kill_daemon();
    let translator = Translator::start(&engine.exec_root().join("containers").join(id), release);
    engine.start_daemon();
    assert_eq!(engine.pid(id), pid, "it runs on");
    translator
}

fn takes_over(release: Release) {
    let mut engine = Engine::start();
    let network = engine.at("1.55").post_json("/networks/create", &json!({ "Name": "n" })).expect(201).json();
    let body = merged(sh("echo begun; cat; exit 7"), json!({ "OpenStdin": true, "StdinOnce": true }));
    let id = engine.run(&body);
    wait::until("its first line", || engine.logs(&id).0.contains("begun").then_some(()));
    let sleeping = engine.exec_create(&id, &json!({ "Cmd": ["sleep", "600"] }));
    let _ = engine.post_json(&format!("/exec/{sleeping}/start"), &json!({ "Detach": true })).expect(200);
    let translator = take_over(&mut engine, &id, release);

    let output = engine.exec(&id, &["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (3, "out\n", "err\n"));
    let top = engine.get(&format!("/containers/{id}/top")).expect(200).json();
    assert_eq!(top["Processes"].as_array().map(Vec::len), Some(3), "{top}");
    let stats = engine.get(&format!("/containers/{id}/stats?stream=0")).expect(200).json();
    assert_ne!(stats["memory_stats"]["usage"], 0, "{stats}");
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    assert_eq!(engine.state(&id, "Paused"), true);
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    let limits = json!({ "CpuShares": 512 });
    let _ = engine.at("1.55").post_json(&format!("/containers/{id}/update"), &limits).expect(200);
    assert_eq!(engine.inspect(&id)["HostConfig"]["CpuShares"], 512);
    // Older ones have no name server; the container gets its interface nevertheless.
    let network = network["Id"].as_str().expect("an id");
    let connect = json!({ "Container": id });
    let _ = engine.at("1.55").post_json(&format!("/networks/{network}/connect"), &connect).expect(200);
    assert_eq!(engine.exec(&id, &["ls", "/sys/class/net/eth1/address"]).code, 0);
    let mut client = engine.attach(&id, "stream=1&stdin=1&stdout=1&logs=1");
    client.send(b"word\n").expect("input");
    client.half_close().expect("the end of the input");
    let (stdout, _) = berth_tests::frames::split(&client.read_to_end().expect("the output"));
    assert_eq!(String::from_utf8_lossy(&stdout), "begun\nword\n");
    assert_eq!(engine.wait(&id), 7);

    let mut requests: Vec<&str> = release.requests_since_the_first().to_vec();
    requests.extend(["attach", "exec", "pause", "processes", "release", "statistics", "unpause", "update"]);
    requests.sort_unstable();
    // The last one is sent when the exit is recorded.
    wait::until("the requests of its protocol", || (translator.requests() == requests).then_some(()));
    engine.remove(&id);
    let _ = engine.at("1.55").delete(&format!("/networks/{network}")).expect(204);
}

#[test]
fn a_container_of_protocol_1_is_taken_over() {
    takes_over(Release::Protocol1);
}

#[test]
fn a_container_of_protocol_2_is_taken_over() {
    takes_over(Release::Protocol2);
}

#[test]
fn a_container_of_protocol_3_is_taken_over() {
    takes_over(Release::Protocol3);
}

#[test]
fn a_lost_connection_to_an_older_shim_is_made_again() {
    for release in [Release::Protocol1, Release::Protocol2, Release::Protocol3] {
        let mut engine = Engine::start();
        let id = engine.run(&sh("sleep 600"));
        let translator = take_over(&mut engine, &id, release);
        for _ in 0..3 {
            translator.lose_connection();
            let top = engine.get(&format!("/containers/{id}/top")).expect(200).json();
            assert_eq!(top["Processes"].as_array().map(Vec::len), Some(1), "{top}");
        }
        let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
        assert_eq!(engine.state(&id, "ExitCode"), 137);
    }
}
