//! The connection between daemon and shim is lost, refused or silent: the container is what it was, and no
//! request hangs.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use berth_tests::{Engine, Options, SetOnDrop, host, merged, sh, wait};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// Of an engine with one container, its shim.
fn shim(engine: &Engine) -> Pid {
    let shims: Vec<u32> = engine.shims().into_iter().collect();
    let [shim] = shims[..] else { panic!("one shim, not {shims:?}") };
    Pid::from_raw(i32::try_from(shim).expect("a pid")).expect("a pid")
}

fn socket(engine: &Engine, id: &str) -> PathBuf {
    engine.exec_root().join("containers").join(id).join("shim.sock")
}

/// Connects to a shim as another daemon would: a shim serves the newest connection alone.
fn connect(socket: &Path) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let other = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let other = other.expect("a socket");
    // An address is at most 107 bytes long (unix(7)).
    let directory = File::open(socket.parent().expect("a directory")).expect("a directory");
    let short = format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd());
    rustix::net::connect(&other, &SocketAddrUnix::new(short).expect("an address")).expect("the shim listens");
    other
}

/// Stops a shim's process; it goes on when this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(engine: &Engine) -> Self {
        let shim = shim(engine);
        kill_process(shim, Signal::STOP).expect("a shim");
        Self(shim)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[test]
fn a_lost_connection_is_made_again() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    for _ in 0..3 {
        let _other = connect(&socket(&engine, &id));
        let output = engine.exec(&id, &["echo", "fine"]);
        assert_eq!((output.code, output.stdout.as_str()), (0, "fine\n"));
    }
    assert_eq!(engine.pid(&id), pid);
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert_eq!(engine.state(&id, "ExitCode"), 137);
}

#[test]
fn a_shim_that_cannot_be_reached_keeps_its_container() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    let socket = socket(&engine, &id);
    let away = socket.with_extension("away");
    engine.kill_daemon();
    std::fs::rename(&socket, &away).expect("the socket's file");
    engine.start_daemon();
    assert_eq!(engine.pid(&id), pid, "it runs on");
    std::fs::rename(&away, &socket).expect("the socket's file");
    assert_eq!(engine.exec(&id, &["echo", "fine"]).stdout, "fine\n");
}

#[test]
fn only_a_dead_shim_is_a_dead_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    kill_process(shim(&engine), Signal::KILL).expect("a shim");
    assert_eq!(engine.wait(&id), 137);
    assert_eq!(engine.state(&id, "Error"), "the container's shim died, so the container was killed");
}

#[test]
fn with_a_silent_shim_a_container_can_be_stopped() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    let _silent = Stopped::new(&engine);
    let _ = engine.post(&format!("/containers/{id}/stop?t=1")).expect(204);
    assert_eq!(engine.state(&id, "Running"), false);
    assert!(!host::runs(pid), "its process is gone");
}

#[test]
fn with_a_silent_shim_a_container_can_be_removed_by_force() {
    let engine = Engine::start();
    for pause in [false, true] {
        let id = engine.run(&sh("sleep 600 & exec sleep 600"));
        let pid = engine.pid(&id);
        if pause {
            let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
        }
        let silent = Stopped::new(&engine);
        let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
        assert!(!host::runs(pid), "its process is gone");
        drop(silent);
        wait::until("the shim's end", || engine.shims().is_empty().then_some(()));
    }
}

#[test]
fn with_a_silent_shim_other_requests_answer_so() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("sleep 600"), json!({ "Tty": true })));
    let exec = engine.exec_create(&id, &json!({ "Cmd": ["true"] }));
    let silent = Stopped::new(&engine);
    for path in ["top", "stats?stream=0"] {
        let answer = engine.get(&format!("/containers/{id}/{path}")).expect(500);
        assert_eq!(answer.text(), "the container's shim does not answer\n", "{path}");
    }
    let answer = engine.post(&format!("/containers/{id}/resize?h=10&w=10")).expect(500);
    assert_eq!(answer.text(), "the container's shim does not answer\n");
    assert_eq!(engine.state(&id, "Running"), true);
    let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!(inspected["Running"], false);
    drop(silent);
    assert_eq!(engine.exec(&id, &["echo", "fine"]).stdout, "fine\n");
}

/// The daemon's own limits for freezing and for reading a program from a slow disk are longer than the client of
/// these tests waits.
#[test]
fn a_stopped_shim_is_not_given_the_time_of_a_slow_one() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let silent = Stopped::new(&engine);
    let pause = engine.post(&format!("/containers/{id}/pause")).expect(500);
    let cause = "the container's shim does not answer\n";
    assert_eq!(pause.text(), format!("Cannot pause container {id}: {cause}"));
    assert_eq!(engine.state(&id, "Paused"), false);
    let detached = engine.exec_create(&id, &json!({ "Cmd": ["touch", "/detached"] }));
    let start = engine.post_json(&format!("/exec/{detached}/start"), &json!({ "Detach": true })).expect(500);
    assert_eq!(start.text(), cause);
    let attached = json!({ "Cmd": ["true"], "AttachStdout": true, "AttachStderr": true });
    let attached = engine.exec_create(&id, &attached);
    let headers = [("Content-Type", "application/json")];
    let answer = engine.call("POST", &format!("/exec/{attached}/start"), &headers, b"{}");
    let (_, stderr) = berth_tests::frames::split(&answer.body);
    assert_eq!(String::from_utf8_lossy(&stderr), cause);
    let mut client = engine.attach(&id, "stream=1&stdout=1&stderr=1");
    let (_, stderr) = berth_tests::frames::split(&client.read_to_end().expect("the end"));
    assert_eq!(String::from_utf8_lossy(&stderr), format!("Error attaching: {cause}"));
    drop(silent);
    wait::until("what was asked is done when the shim goes on", || {
        (engine.exec(&id, &["ls", "/detached"]).code == 0).then_some(())
    });
    assert_eq!(engine.exec(&id, &["echo", "fine"]).stdout, "fine\n");
}

#[test]
fn a_daemon_starts_beside_a_silent_shim() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let silent = Stopped::new(&engine);
    engine.replace_daemon();
    assert_eq!(engine.state(&id, "Running"), true);
    drop(silent);
    assert_eq!(engine.exec(&id, &["echo", "fine"]).stdout, "fine\n");
}

#[test]
fn an_exec_whose_client_leaves_while_it_starts_runs_to_its_end() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for detach in [true, false] {
        let body = json!({ "Cmd": ["sh", "-c", "echo it ran >> /effect"] });
        let exec = engine.exec_create(&id, &body);
        let silent = Stopped::new(&engine);
        let mut client = engine.connect();
        let start = json!({ "Detach": detach }).to_string();
        let headers = [("Content-Type", "application/json")];
        client
            .request("POST", &format!("/exec/{exec}/start"), &headers, start.as_bytes())
            .expect("a request");
        wait::until("the start is taken", || {
            let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
            (inspected["Running"] == true).then_some(())
        });
        drop(client);
        drop(silent);
        wait::until("the exec is shown ended", || {
            let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
            (inspected["Running"] == false && inspected["ExitCode"] == 0).then_some(())
        });
    }
    assert_eq!(engine.exec(&id, &["cat", "/effect"]).stdout, "it ran\nit ran\n");
}

#[test]
fn an_exec_whose_client_leaves_before_its_answer_begins_runs_to_its_end() {
    const EXECS: usize = 20;
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let execs: Vec<String> = (0..EXECS)
        .map(|_| {
            let exec = engine.exec_create(&id, &json!({ "Cmd": ["sh", "-c", "echo it ran >> /effect"] }));
            let headers = [("Content-Type", "application/json")];
            let mut client = engine.connect();
            client
                .request("POST", &format!("/exec/{exec}/start"), &headers, b"{}")
                .expect("a request whose answer nobody reads");
            exec
        })
        .collect();
    for exec in execs {
        wait::until("the exec is shown ended", || {
            let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
            (inspected["Running"] == false && inspected["ExitCode"] == 0).then_some(())
        });
    }
    assert_eq!(engine.exec(&id, &["cat", "/effect"]).stdout, "it ran\n".repeat(EXECS));
}

/// More than any daemon without clients has descriptors.
const LEAVING_CLIENTS: usize = 200;

#[test]
fn clients_that_leave_a_container_before_its_start_are_let_go() {
    let engine = Engine::start();
    let id =
        engine.create(&merged(sh("read x; echo got $x"), json!({ "OpenStdin": true, "StdinOnce": true })));
    for _ in 0..LEAVING_CLIENTS {
        drop(engine.attach(&id, "stream=1&stdin=1&stdout=1"));
    }
    let mut stays = engine.attach(&id, "stream=1&stdin=1&stdout=1");
    stays.send(b"word\n").expect("input before the start");
    stays.half_close().expect("the end of the input");
    wait::until("their descriptors are closed", || {
        // Fewer than one for each of them: the daemon has some of its own.
        (host::descriptors_of(engine.daemon_pid()) < LEAVING_CLIENTS).then_some(())
    });
    engine.start(&id);
    let (stdout, _) = berth_tests::frames::split(&stays.read_to_end().expect("the output"));
    assert_eq!(String::from_utf8_lossy(&stdout), "got word\n");
}

#[test]
fn a_start_that_fails_early_gives_its_own_reason() {
    let engine = Engine::start_with(Options::default());
    let body = merged(sh("true"), json!({ "HostConfig": { "Tmpfs": { "/t": "bogus" } } }));
    let id = engine.create(&body);
    let reason = "[8] System error: mounting a tmpfs with options \"bogus\": Invalid argument";
    for _ in 0..60 {
        let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
        assert_eq!(text, format!("Cannot start container {id}: {reason}\n"));
    }
}

/// Requests for a container at the moment of its end: the status of each, and the texts of its refusals then.
fn ask_at_the_end(engine: &Engine, id: &str, over: &AtomicBool) {
    let is = |state: &str| format!("Container {id} is {state}\n");
    let cannot = |verb: &str, state: &str| format!("Cannot {verb} container {id}: {}", is(state));
    let requests = [
        ("GET", "top", 200, vec![is("not running")]),
        ("POST", "pause", 204, vec![cannot("pause", "not running"), cannot("pause", "already paused")]),
        ("POST", "unpause", 204, vec![cannot("unpause", "not running"), cannot("unpause", "not paused")]),
        ("POST", "resize?h=10&w=20", 200, vec![is("not running")]),
        ("POST", "exec", 201, vec![is("not running"), is("paused, unpause the container before exec")]),
    ];
    let body = json!({ "Cmd": ["true"] }).to_string();
    while !over.load(Ordering::SeqCst) {
        for (method, verb, done, refusals) in &requests {
            let path = format!("/containers/{id}/{verb}");
            let answer = engine.call(method, &path, &[("Content-Type", "application/json")], body.as_bytes());
            if answer.status() != *done {
                let text = answer.expect(500).text();
                assert!(refusals.contains(&text), "{method} {path}: {text}");
            }
        }
        let commit = engine.post_json(&format!("/commit?container={id}&repo=ending"), &json!({}));
        assert_eq!(commit.status(), 201, "{}", commit.text());
    }
}

#[test]
fn whatever_is_asked_while_containers_end_no_text_from_within_comes_out() {
    let engine = Engine::start();
    for round in 0..12 {
        let id = engine.run(&sh("sleep 600"));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let askers: Vec<_> =
                (0..3).map(|_| scope.spawn(|| ask_at_the_end(&engine, &id, &over))).collect();
            let end = SetOnDrop(&over);
            let act = ["kill", "stop?t=0", "restart?t=0"][round % 3];
            let _ = engine.post(&format!("/containers/{id}/{act}")).expect(204);
            drop(end);
            askers.into_iter().for_each(|asker| asker.join().expect("every answer is a known one"));
        });
        engine.remove(&id);
    }
    engine.forget_builds();
}

#[test]
fn a_container_that_is_just_ending_can_be_committed_and_is_refused_as_an_ended_one() {
    let engine = Engine::start();
    for round in 0..60 {
        let id = engine.run(&sh("exit 0"));
        match round % 3 {
            0 => {
                let path = format!("/commit?container={id}&repo=ending");
                let _ = engine.post_json(&path, &json!({})).expect(201);
                let _ = engine.delete("/images/ending").expect(200);
            }
            1 => {
                let answer = engine.post(&format!("/containers/{id}/pause"));
                let refusal = format!("Cannot pause container {id}: Container {id} is not running\n");
                assert!(answer.status() == 204 || answer.text() == refusal, "{}", answer.text());
            }
            _ => {
                let answer = engine.get(&format!("/containers/{id}/top"));
                let refusal = format!("Container {id} is not running\n");
                assert!(answer.status() == 200 || answer.text() == refusal, "{}", answer.text());
            }
        }
    }
}
