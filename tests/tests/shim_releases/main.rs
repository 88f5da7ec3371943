//! A daemon of this release takes over containers whose shims are of earlier ones: it does all that these can do.

mod logs_of_pods;
mod translator;

use berth_tests::{Engine, frames, merged, sh, wait};
use serde_json::json;
use translator::{Protocol, Translator};

/// The protocols of all releases before this one.
const EARLIER: std::ops::Range<u32> = 1..translator::PRESENT;

/// More than the arguments that a message in one packet has room for, and less than the kernel's limit of one argument.
const LONG_ARGUMENTS: usize = 8;
const LONG_ARGUMENT: usize = 100_000;

/// Lets the shims of containers pass for those of an earlier release, and starts the next daemon.
fn take_over<const N: usize>(engine: &mut Engine, ids: [&str; N], protocol: Protocol) -> [Translator; N] {
    let pids = ids.map(|id| engine.pid(id));
    engine.kill_daemon();
    let containers = engine.exec_root().join("containers");
    let translators = ids.map(|id| Translator::start(&containers.join(id), protocol));
    engine.start_daemon();
    assert_eq!(ids.map(|id| engine.pid(id)), pids, "they run on");
    translators
}

/// The requests of a list that a protocol has, sorted.
fn known<'a>(protocol: Protocol, kinds: &[&'a str]) -> Vec<&'a str> {
    let mut kinds: Vec<&str> = kinds.iter().copied().filter(|kind| protocol.has(kind)).collect();
    kinds.sort_unstable();
    kinds
}

fn pipes_and_limits(protocol: Protocol) {
    let mut engine = Engine::start();
    let network = engine.at("1.55").post_json("/networks/create", &json!({ "Name": "n" })).expect(201).json();
    let body = merged(sh("echo begun; cat; exit 7"), json!({ "OpenStdin": true, "StdinOnce": true }));
    let id = engine.run(&body);
    wait::until("its first line", || engine.logs(&id).0.contains("begun").then_some(()));
    let sleeping = engine.exec_create(&id, &json!({ "Cmd": ["sleep", "600"] }));
    let _ = engine.post_json(&format!("/exec/{sleeping}/start"), &json!({ "Detach": true })).expect(200);
    let [translator] = take_over(&mut engine, [&id], protocol);

    // A shim of the first protocol cannot list its execs: the last daemon may have died before it saved the start.
    if protocol.has("execs") {
        assert_eq!(engine.get(&format!("/exec/{sleeping}/json")).expect(200).json()["Running"], true);
    }
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
    let _ = engine.post(&format!("/containers/{id}/rename?name=renamed")).expect(204);
    assert_eq!(engine.inspect("renamed")["Id"], id.as_str());
    // Older ones have no name server; the container gets its interface nevertheless.
    let network = network["Id"].as_str().expect("an id");
    let connect = json!({ "Container": id });
    let _ = engine.at("1.55").post_json(&format!("/networks/{network}/connect"), &connect).expect(200);
    assert_eq!(engine.exec(&id, &["ls", "/sys/class/net/eth1/address"]).code, 0);
    long_arguments(&engine, &id, protocol);
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    let (head, mut following) = engine.open("GET", &path, &[], b"");
    let mut client = engine.attach(&id, "stream=1&stdin=1&stdout=1&logs=1");
    client.send(b"word\n").expect("input");
    client.half_close().expect("the end of the input");
    let (stdout, _) = frames::split(&client.read_to_end().expect("the output"));
    assert_eq!(String::from_utf8_lossy(&stdout), "begun\nword\n");
    let followed = following.read_body("GET", &head).expect("the log up to its end");
    assert_eq!(String::from_utf8_lossy(&frames::split(&followed).0), "begun\nword\n");
    assert_eq!(engine.wait(&id), 7);

    let requests = ["attach", "exec", "pause", "processes", "release", "statistics", "unpause", "update"];
    let later = ["execs", "hello", "names"];
    let requests = known(protocol, &[&requests[..], &later[..]].concat());
    // The last one is sent when the exit is recorded.
    wait::until("the requests of its protocol", || (translator.requests() == requests).then_some(()));
    engine.remove(&id);
    let _ = engine.at("1.55").delete(&format!("/networks/{network}")).expect(204);
}

/// A command that no single packet holds: since the protocol has fragmented messages it runs, before it is
/// refused.
fn long_arguments(engine: &Engine, id: &str, protocol: Protocol) {
    let argument = "x".repeat(LONG_ARGUMENT);
    let mut command = vec!["sh", "-c", "echo $#"];
    command.resize(3 + LONG_ARGUMENTS, &argument);
    let exec = engine.exec_create(id, &json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": command }));
    let answer = engine.post_json(&format!("/exec/{exec}/start"), &json!({})).expect(200);
    let (stdout, stderr) = frames::split(&answer.body);
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let expected = if protocol.0 < 7 { ("", "argument list too long\n") } else { ("7\n", "") };
    assert_eq!((&*stdout, &*stderr), expected, "{protocol:?}");
}

fn terminals_signals_and_ports(protocol: Protocol) {
    let mut engine = Engine::start();
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    let body = json!({
        "Tty": true,
        "OpenStdin": true,
        "ExposedPorts": { "80/tcp": {} },
        "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "8080" }] } },
    });
    let terminal = engine.run(&merged(sh(script), body));
    let trap = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    let [trapping, stopped, killed] = [trap, "sleep 600", "sleep 600"].map(|script| engine.run(&sh(script)));
    wait::until("the trap", || (engine.logs(&trapping).0 == "ready\n").then_some(()));
    let bridge = |engine: &Engine, verb: &str| {
        let body = json!({ "Container": terminal });
        let _ = engine.at("1.55").post_json(&format!("/networks/bridge/{verb}"), &body).expect(200);
    };
    // A shim of an earlier release relays no port that one of this release would go on with.
    bridge(&engine, "disconnect");
    let [translator, other, _second, _third] =
        take_over(&mut engine, [&terminal, &trapping, &stopped, &killed], protocol);

    let mut client = engine.attach(&terminal, "stream=1&stdout=1&logs=1");
    client.read_until(b"ready").expect("the trap");
    let _ = engine.post(&format!("/containers/{terminal}/resize?h=43&w=121")).expect(200);
    client.read_until(b"43 121").expect("the new size");
    let body = json!({ "AttachStdout": true, "Tty": true, "Cmd": ["sh", "-c", script] });
    let exec = engine.exec_create(&terminal, &body);
    let mut stream = engine.exec_start(&exec, &json!({ "Tty": true }));
    stream.read_until(b"ready").expect("the trap");
    let _ = engine.post(&format!("/exec/{exec}/resize?h=40&w=80")).expect(201);
    stream.read_until(b"40 80").expect("the new size");
    // Its published port is relayed at the host's IPv6; an older shim does not, and the port is published all the same.
    bridge(&engine, "connect");
    let ports = engine.inspect(&terminal)["NetworkSettings"]["Ports"]["80/tcp"].clone();
    assert_eq!(ports[0]["HostPort"], "8080", "{ports}");

    let _ = engine.post(&format!("/containers/{trapping}/kill?signal=USR1")).expect(204);
    assert_eq!(engine.wait(&trapping), 9);
    let _ = engine.post(&format!("/containers/{stopped}/stop?t=0")).expect(204);
    assert_eq!(engine.state(&stopped, "ExitCode"), 137);
    let _ = engine.post(&format!("/containers/{killed}/kill")).expect(204);
    assert_eq!(engine.wait(&killed), 137);
    assert_eq!(engine.state(&killed, "Error"), "");

    let requests = ["attach", "exec", "exec_resize", "hello", "relay", "resize"];
    assert_eq!(translator.requests(), known(protocol, &requests));
    let requests = known(protocol, &["hello", "release", "signal"]);
    wait::until("the requests of its protocol", || (other.requests() == requests).then_some(()));
    // A shim of any release makes its container start again.
    engine.start(&stopped);
    assert_eq!(engine.state(&stopped, "Running"), true);
}

#[test]
fn containers_of_earlier_releases_have_their_pipes_limits_and_names() {
    EARLIER.for_each(|protocol| pipes_and_limits(Protocol(protocol)));
}

#[test]
fn containers_of_earlier_releases_have_their_terminals_signals_and_ports() {
    EARLIER.for_each(|protocol| terminals_signals_and_ports(Protocol(protocol)));
}

#[test]
fn a_lost_connection_to_an_older_shim_is_made_again() {
    for protocol in EARLIER.map(Protocol) {
        let mut engine = Engine::start();
        let id = engine.run(&sh("sleep 600"));
        let [translator] = take_over(&mut engine, [&id], protocol);
        for _ in 0..3 {
            translator.lose_connection();
            let top = engine.get(&format!("/containers/{id}/top")).expect(200).json();
            assert_eq!(top["Processes"].as_array().map(Vec::len), Some(1), "{top}");
        }
        let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
        assert_eq!(engine.state(&id, "ExitCode"), 137);
    }
}
