//! The daemon is killed and replaced: containers run on and nothing is lost.

use std::time::Duration;

use berth_tests::cgroup;
use berth_tests::frames::{self, STDOUT};
use berth_tests::{Engine, Options, host, merged, sh, wait};
use serde_json::json;

/// Counts once every few milliseconds, for ever.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.003; done";

/// Every number from one on, each once, in order.
fn assert_no_gap(log: &str) {
    let complete = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    for (position, line) in complete.lines().enumerate() {
        assert_eq!(line, (position + 1).to_string(), "a gap at line {position}");
    }
}

#[test]
fn containers_run_on_and_their_logs_have_no_gap() {
    let mut engine = Engine::start();
    let id = engine.run(&sh(COUNT));
    let pid = engine.pid(&id);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(100));
        engine.kill_daemon();
        std::thread::sleep(Duration::from_millis(100));
        engine.start_daemon();
        assert_eq!(engine.pid(&id), pid, "the same process");
        assert_eq!(engine.state(&id, "Running"), true);
    }
    let lines = engine.logs(&id).0.lines().count();
    wait::until("the log goes on", || (engine.logs(&id).0.lines().count() > lines + 10).then_some(()));
    assert_no_gap(&engine.logs(&id).0);
}

#[test]
fn a_shim_whose_record_cannot_be_read_is_found_where_it_listens() {
    let mut engine = Engine::start();
    for damage in ["", "torn", "{}", "gone"] {
        let id = engine.run(&sh("sleep 600"));
        let pid = engine.pid(&id);
        let record = engine.exec_root().join("containers").join(&id).join("processes.json");
        assert!(record.exists(), "{}", record.display());
        engine.kill_daemon();
        if damage == "gone" {
            std::fs::remove_file(&record).expect("the record is gone");
        } else {
            std::fs::write(&record, damage).expect("a damaged record");
        }
        engine.start_daemon();
        assert_eq!(engine.pid(&id), pid, "{damage}");
        assert_eq!(engine.exec(&id, &["echo", "here"]).stdout, "here\n", "{damage}");
        // Its end does not depend on the record either.
        engine.remove(&id);
        wait::until("its end", || (!host::runs(pid)).then_some(()));
    }
}

#[test]
fn a_stopped_daemon_leaves_its_containers_running() {
    let mut engine = Engine::start();
    let id = engine.run(&sh(COUNT));
    let pid = engine.pid(&id);
    engine.stop_daemon();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    engine.start_daemon();
    assert_eq!(engine.pid(&id), pid);
    assert_no_gap(&engine.logs(&id).0);
}

#[test]
fn a_daemon_told_so_stops_its_containers_when_it_ends() {
    let arguments = vec!["--live-restore=false".to_owned()];
    let mut engine = Engine::start_with(Options { arguments, ..Options::default() });
    let id = engine.run(&sh("trap 'exit 6' TERM; while :; do sleep 0.05; done"));
    let pid = engine.pid(&id);
    wait::until("the trap", || caught(pid, 15).then_some(()));
    engine.stop_daemon();
    assert!(!berth_tests::host::runs(pid));
    engine.start_daemon();
    assert_eq!(engine.state(&id, "ExitCode"), 6);
}

/// Whether a process has a handler for a signal.
fn caught(pid: u32, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (signal - 1)) != 0
}

fn seconds_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs()
}

#[test]
fn exits_meanwhile_are_recorded_with_code_and_time() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("until [ -e /end ]; do sleep 0.05; done; echo late; exit 42"));
    let pid = engine.pid(&id);
    engine.kill_daemon();
    std::fs::write(format!("/proc/{pid}/root/end"), "").expect("a file");
    wait::until("the end", || (!host::runs(pid)).then_some(()));
    // The shim notes the exit by itself; seconds later a daemon comes.
    let ended = seconds_now();
    wait::until("another time", || (seconds_now() > ended + 2).then_some(()));
    engine.start_daemon();
    let state = engine.inspect(&id)["State"].clone();
    assert_eq!((&state["Running"], &state["ExitCode"]), (&json!(false), &json!(42)));
    assert_eq!(engine.logs(&id).0, "late\n");
    assert_eq!(engine.wait(&id), 42);
    let text = state["FinishedAt"].as_str().expect("a time");
    let date = std::process::Command::new("date").args(["-d", text, "+%s"]).output().expect("date(1)").stdout;
    let finished: u64 = String::from_utf8_lossy(&date).trim().parse().expect("seconds");
    // The shim may have read its clock a moment after the process ended, in the next second.
    assert!(finished <= ended + 1, "the time of the exit itself, not of the daemon's return: {state}");
}

#[test]
fn waiters_can_ask_again() {
    let mut engine = Engine::start();
    let id = engine.run(&merged(sh("read x; exit 11"), json!({ "OpenStdin": true })));
    engine.replace_daemon();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.wait(&id));
        let mut stream = engine.attach(&id, "stream=1&stdin=1");
        stream.send(b"\n").expect("stdin");
        assert_eq!(waiting.join().expect("an answer"), 11);
    });
}

#[test]
fn attached_sessions_flow_on_through_a_restart() {
    let mut engine = Engine::start();
    let id =
        engine.run(&merged(sh("while read line; do echo got $line; done"), json!({ "OpenStdin": true })));
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1");
    stream.send(b"one\n").expect("stdin");
    frames::read_until(&mut stream, STDOUT, b"got one\n").expect("an answer before");
    engine.kill_daemon();
    stream.send(b"two\n").expect("stdin");
    frames::read_until(&mut stream, STDOUT, b"got two\n").expect("an answer while there is no daemon");
    engine.start_daemon();
    stream.send(b"three\n").expect("stdin");
    frames::read_until(&mut stream, STDOUT, b"got three\n").expect("an answer after");
}

#[test]
fn an_exec_runs_on_through_a_restart() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let body =
        json!({ "AttachStdin": true, "AttachStdout": true, "Cmd": ["sh", "-c", "read x; echo $x; exit 4"] });
    let exec = engine.exec_create(&id, &body);
    let mut stream = engine.exec_start(&exec, &json!({}));
    // The answer's head comes before the connection is handed to the shim: once the process runs, it is.
    let started = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!(started["Running"], true);
    engine.replace_daemon();
    let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!(inspected["Running"], true);
    stream.send(b"word\n").expect("stdin");
    assert_eq!(frames::split(&stream.read_to_end().expect("the end")).0, b"word\n");
    let code = wait::until("the exec's code", || {
        let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
        (inspected["Running"] == false).then(|| inspected["ExitCode"].clone())
    });
    assert_eq!(code, 4);
}

/// What became of an exec need not be in the database yet when a daemon dies: the shim knows it.
#[test]
fn execs_are_known_to_the_next_daemon_however_soon_the_last_one_died() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let exec = |engine: &Engine, script: &str| {
        engine.exec_create(&id, &json!({ "AttachStdout": true, "Cmd": ["sh", "-c", script] }))
    };
    for _ in 0..4 {
        let unstarted = exec(&engine, "exit 3");
        let running = exec(&engine, "echo up; sleep 600");
        let mut stream = engine.exec_start(&running, &json!({}));
        frames::read_until(&mut stream, STDOUT, b"up\n").expect("its output");
        let ended = exec(&engine, "exit 5");
        assert_eq!(engine.exec_start(&ended, &json!({})).read_to_end().expect("the end"), b"");
        engine.replace_daemon();
        let inspect = |exec: &str| engine.get(&format!("/exec/{exec}/json")).expect(200).json();
        wait::until("the exec that runs", || (inspect(&running)["Running"] == true).then_some(()));
        wait::until("the exec that has ended", || (inspect(&ended)["ExitCode"] == 5).then_some(()));
        for begun in [&running, &ended] {
            let _ = engine.post_json(&format!("/exec/{begun}/start"), &json!({ "Detach": true })).expect(409);
        }
        let _ = engine.exec_start(&unstarted, &json!({})).read_to_end().expect("the end");
        wait::until("the exec that was started late", || {
            (inspect(&unstarted)["ExitCode"] == 3).then_some(())
        });
    }
}

#[test]
fn everything_can_be_done_with_an_adopted_container() {
    let mut engine = Engine::start();
    let id = engine.run(&merged(sh(COUNT), json!({ "Tty": true })));
    engine.replace_daemon();
    let _ = engine.post(&format!("/containers/{id}/resize?h=30&w=100")).expect(200);
    assert_eq!(engine.exec(&id, &["echo", "in"]).stdout, "in\n");
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    engine.replace_daemon();
    assert_eq!(engine.state(&id, "Paused"), true);
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/restart?t=0")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert_eq!(engine.state(&id, "ExitCode"), 137);
}

#[test]
fn a_pause_that_a_daemon_died_over_is_as_it_was_recorded() {
    let mut engine = Engine::start();
    let [running, paused] = [(); 2].map(|()| engine.run(&sh("sleep 600")));
    let _ = engine.post(&format!("/containers/{paused}/pause")).expect(204);
    let pids = [engine.pid(&running), engine.pid(&paused)];
    engine.kill_daemon();
    // What a daemon leaves that dies between the request to the shim and saving.
    cgroup::freeze(pids[0], true);
    cgroup::freeze(pids[1], false);
    engine.start_daemon();
    assert_eq!(engine.exec(&running, &["echo", "fine"]).stdout, "fine\n");
    assert_eq!(engine.state(&paused, "Paused"), true);
    assert!(cgroup::is_frozen(pids[1]), "what is shown as paused is frozen");
    let _ = engine.post(&format!("/containers/{paused}/unpause")).expect(204);
    assert_eq!(engine.exec(&paused, &["echo", "fine"]).stdout, "fine\n");
}

#[test]
fn what_does_not_run_is_still_there() {
    let mut engine = Engine::start();
    let created = engine.create_named("created", &sh("true"));
    let exited = engine.run(&sh("echo kept; exit 5"));
    let _ = engine.wait(&exited);
    let before: Vec<_> = [&created, &exited].map(|id| engine.inspect(id)).into();
    engine.replace_daemon();
    let after: Vec<_> = [&created, &exited].map(|id| engine.inspect(id)).into();
    assert_eq!(before, after);
    assert_eq!(engine.logs(&exited).0, "kept\n");
    engine.start(&created);
    assert_eq!(engine.wait(&created), 0);
    let _ = engine.get("/images/busybox/json").expect(200);
}

#[test]
fn a_shim_that_dies_takes_its_container_down() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    let shims = engine.shims();
    let of_container: Vec<u32> = shims.into_iter().filter(|shim| is_parent(*shim, pid)).collect();
    assert_eq!(of_container.len(), 1, "the container's parent is its shim");
    kill(of_container[0]);
    wait::until("the container's end", || (engine.state(&id, "Running") == false).then_some(()));
    assert!(!berth_tests::host::runs(pid));
    let state = engine.inspect(&id)["State"].clone();
    assert_eq!(state["Error"], "the container's shim died, so the container was killed");
    engine.start(&id);
    assert_eq!(engine.state(&id, "Running"), true);
}

#[test]
fn a_shim_that_dies_while_there_is_no_daemon_is_noticed() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    let shim = engine.shims().into_iter().find(|shim| is_parent(*shim, pid)).expect("the container's shim");
    engine.kill_daemon();
    kill(shim);
    engine.start_daemon();
    wait::until("the container's end", || (engine.state(&id, "Running") == false).then_some(()));
    wait::until("the process's end", || (!berth_tests::host::runs(pid)).then_some(()));
    engine.start(&id);
}

#[test]
fn published_ports_and_the_network_survive() {
    let mut engine = Engine::start();
    let body = merged(
        json!({ "Image": "busybox", "Cmd": ["httpd", "-f", "-p", "80", "-h", "/etc"] }),
        json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18090" }] } } }),
    );
    let id = engine.run(&body);
    let address = "127.0.0.1:18090".parse().expect("an address");
    let fetch = |engine: &Engine| berth_tests::host::fetch(engine.network_pid(), address, "/shadow");
    assert_eq!(fetch(&engine), "root:*:1::::::\n");
    let leased = engine.inspect(&id)["NetworkSettings"]["IPAddress"].clone();
    engine.replace_daemon();
    assert_eq!(fetch(&engine), "root:*:1::::::\n");
    assert_eq!(engine.inspect(&id)["NetworkSettings"]["IPAddress"], leased);
    let other = engine.run(&sh("sleep 600"));
    assert_ne!(
        engine.inspect(&other)["NetworkSettings"]["IPAddress"],
        leased,
        "its address is not given away"
    );
}

fn is_parent(parent: u32, child: u32) -> bool {
    host::parent_of(child) == Some(parent)
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the process to kill");
}
