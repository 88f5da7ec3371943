//! Restart policies: when a container is started again by itself, and when it is left alone.

use berth_tests::{Engine, merged, query, sh, wait};
use serde_json::{Value, json};

fn with_policy(script: &str, name: &str, count: i64) -> Value {
    let policy = json!({ "Name": name, "MaximumRetryCount": count });
    merged(sh(script), json!({ "HostConfig": { "RestartPolicy": policy } }))
}

/// The events of a container so far: the act and its time in nanoseconds.
fn events(engine: &Engine, id: &str) -> Vec<(String, u64)> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let filters = json!({ "container": [id] }).to_string();
    let asked = query(&[("since", "1"), ("until", &(now + 1).to_string()), ("filters", &filters)]);
    let text = engine.get(&format!("/events{asked}")).expect(200).text();
    let parse = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("an event");
        (event["status"].as_str().expect("an act").to_owned(), event["timeNano"].as_u64().expect("a time"))
    };
    text.lines().map(parse).collect()
}

fn count(engine: &Engine, id: &str, act: &str) -> usize {
    events(engine, id).iter().filter(|(known, _)| known == act).count()
}

/// Waits until a container waits for its next restart, after at least so many of them.
fn wait_for_delay(engine: &Engine, id: &str, restarts: i64) -> Value {
    wait::until("a delay", || {
        let inspected = engine.inspect(id);
        let waits = inspected["State"]["Restarting"] == true;
        (waits && inspected["RestartCount"].as_i64() >= Some(restarts)).then_some(inspected)
    })
}

fn runs(engine: &Engine, id: &str) -> bool {
    let state = engine.inspect(id)["State"].clone();
    state["Running"] == true && state["Restarting"] == false
}

#[test]
fn failures_are_retried_as_often_as_asked_with_growing_delays() {
    let engine = Engine::start();
    let id = engine.run(&with_policy("echo run; exit 5", "on-failure", 3));
    let inspected = wait::until("the last try", || {
        let inspected = engine.inspect(&id);
        let over = inspected["State"]["Running"] == false && inspected["RestartCount"] == 3;
        over.then_some(inspected)
    });
    assert_eq!(inspected["State"]["ExitCode"], 5);
    assert_eq!(engine.logs(&id).0, "run\n".repeat(4));
    assert_eq!(engine.wait(&id), 5);
    let told = events(&engine, &id);
    let acts: Vec<&str> = told.iter().map(|(act, _)| act.as_str()).collect();
    assert_eq!(acts, ["create", "start", "die", "start", "die", "start", "die", "start", "die"]);
    // No start comes before its delay is over; how much later does not matter.
    for (place, delay) in [(2, 100), (4, 200), (6, 400)] {
        assert!(told[place + 1].1 - told[place].1 >= delay * 1_000_000, "{told:?}");
    }
    // Started by a client, it has all its tries again.
    engine.start(&id);
    wait::until("the last try", || (count(&engine, &id, "die") == 8).then_some(()));
    assert_eq!(engine.inspect(&id)["RestartCount"], 3);
}

#[test]
fn a_start_by_a_client_begins_with_the_first_delay_again() {
    let engine = Engine::start();
    let id = engine.run(&with_policy("exit 5", "on-failure", 5));
    wait::until("the last try", || (count(&engine, &id, "die") == 6).then_some(()));
    engine.start(&id);
    wait::until("the second try", || (count(&engine, &id, "die") >= 8).then_some(()));
    let told = events(&engine, &id);
    let acts: Vec<&str> = told.iter().skip(9).take(6).map(|(act, _)| act.as_str()).collect();
    assert_eq!(acts, ["start", "die", "start", "die", "start", "die"]);
    // The first delay of sixteenfold length would be longer than the last one before it, not shorter.
    let delay = |place: usize| told[place + 1].1 - told[place].1;
    assert!(delay(14) < delay(10), "{told:?}");
}

#[test]
fn policies_decide_by_the_exit_code() {
    let engine = Engine::start();
    let body = |name: &str, code: i32| with_policy(&format!("exit {code}"), name, 0);
    let left =
        [("no", 0), ("no", 1), ("", 1), ("on-failure", 0)].map(|(name, code)| engine.run(&body(name, code)));
    let again = [("always", 0), ("always", 3), ("unless-stopped", 0), ("on-failure", 3)]
        .map(|(name, code)| engine.run(&body(name, code)));
    for id in &again {
        wait_for_delay(&engine, id, 2);
    }
    for id in &left {
        assert_eq!(count(&engine, id, "start"), 1);
        assert_eq!(engine.inspect(id)["RestartCount"], 0);
    }
}

#[test]
fn while_it_waits_it_shows_it_and_obeys() {
    let engine = Engine::start();
    let ids: Vec<String> = (0..4).map(|_| engine.run(&with_policy("exit 4", "always", 0))).collect();
    for id in &ids {
        wait_for_delay(&engine, id, 4);
    }
    let inspected = wait_for_delay(&engine, &ids[0], 4);
    let state = &inspected["State"];
    assert_eq!((&state["Running"], &state["Pid"], &state["ExitCode"]), (&json!(true), &json!(0), &json!(4)));
    let filters = query(&[("filters", r#"{"status":["restarting"]}"#)]);
    let listed = engine.get(&format!("/containers/json{filters}")).expect(200).json();
    let status = listed[0]["Status"].as_str().expect("a status");
    assert!(status.starts_with("Restarting (4) "), "{status}");
    let refused = engine.delete(&format!("/containers/{}", ids[0])).expect(409);
    assert!(refused.text().contains("You cannot remove a running container"), "{}", refused.text());
    let _ = engine.post(&format!("/containers/{}/start", ids[0])).expect(304);

    // Each ends the waiting, and nothing starts it any more.
    let _ = engine.post(&format!("/containers/{}/stop?t=0", ids[0])).expect(204);
    let _ = engine.post(&format!("/containers/{}/kill", ids[1])).expect(204);
    let _ = engine.delete(&format!("/containers/{}?force=1", ids[2])).expect(204);
    let starts = [0, 1].map(|place| count(&engine, &ids[place], "start"));
    wait::until("the fourth goes on", || {
        (engine.inspect(&ids[3])["RestartCount"].as_i64() > Some(5)).then_some(())
    });
    for place in [0, 1] {
        let state = engine.inspect(&ids[place])["State"].clone();
        assert_eq!((&state["Running"], &state["Restarting"]), (&json!(false), &json!(false)));
        assert_eq!(count(&engine, &ids[place], "start"), starts[place]);
    }
    let _ = engine.post(&format!("/containers/{}/restart?t=0", ids[3])).expect(204);
    assert!(engine.inspect(&ids[3])["RestartCount"].as_i64() <= Some(1), "a client's restart begins anew");
}

#[test]
fn signals_that_ask_it_to_end_end_it_and_others_do_not() {
    let engine = Engine::start();
    let script = "trap 'exit 7' TERM HUP; echo up; while :; do sleep 0.05; done";
    let stopped = engine.run(&with_policy(script, "always", 0));
    let reloaded = engine.run(&with_policy(script, "always", 0));
    for id in [&stopped, &reloaded] {
        wait::until("the trap", || (engine.logs(id).0 == "up\n").then_some(()));
    }
    let _ = engine.post(&format!("/containers/{stopped}/kill?signal=TERM")).expect(204);
    let _ = engine.post(&format!("/containers/{reloaded}/kill?signal=HUP")).expect(204);
    wait::until("the restart", || (engine.logs(&reloaded).0 == "up\nup\n").then_some(()));
    wait::until("the end", || (engine.state(&stopped, "Running") == false).then_some(()));
    assert_eq!(engine.state(&stopped, "ExitCode"), 7);
    assert_eq!(engine.logs(&stopped).0, "up\n");
}

#[test]
fn a_start_by_policy_that_fails_is_tried_again() {
    let engine = Engine::start();
    let place = engine.directory().join("program");
    std::fs::create_dir(&place).expect("a directory");
    let program = place.join("run");
    let install = || {
        berth_tests::install(&program, b"#!/program/sh\necho ran\n");
    };
    berth_tests::install(&place.join("sh"), &std::fs::read("/bin/busybox").expect("busybox"));
    install();
    let body = merged(
        with_policy("", "always", 0),
        json!({ "Cmd": ["/program/run"], "HostConfig": { "Binds": [format!("{}:/program", place.display())] } }),
    );
    let id = engine.run(&body);
    wait::until("a run", || engine.logs(&id).0.contains("ran").then_some(()));
    std::fs::remove_file(&program).expect("removed");
    let failed = wait::until("a start that fails", || {
        let inspected = engine.inspect(&id);
        (inspected["State"]["ExitCode"] == 127).then_some(inspected)
    });
    assert_eq!(failed["State"]["Restarting"], true, "{failed}");
    let runs = engine.logs(&id).0.lines().count();
    install();
    wait::until("a run", || (engine.logs(&id).0.lines().count() > runs).then_some(()));
}

#[test]
fn a_daemon_killed_within_a_delay_starts_it_later() {
    let mut engine = Engine::start();
    let names = ["always", "unless-stopped", "on-failure"];
    let ids = names.map(|name| engine.run(&with_policy("echo run; exit 1", name, 0)));
    let ended = engine.run(&with_policy("exit 1", "always", 0));
    for id in ids.iter().chain([&ended]) {
        wait_for_delay(&engine, id, 4);
    }
    let _ = engine.post(&format!("/containers/{}/stop", ids[1])).expect(204);
    let before = ids.clone().map(|id| engine.logs(&id).0.lines().count());
    engine.replace_daemon();
    for place in [0, 2] {
        wait::until("a run of the next daemon's", || {
            (engine.logs(&ids[place]).0.lines().count() > before[place]).then_some(())
        });
    }
    assert_eq!(engine.logs(&ids[1]).0.lines().count(), before[1], "stopped by a client");
    assert_eq!(engine.state(&ids[1], "Restarting"), false);
}

#[test]
fn force_removes_what_the_next_daemon_is_about_to_start() {
    let mut engine = Engine::start();
    let ids: Vec<String> = (0..6).map(|_| engine.run(&with_policy("exit 1", "always", 0))).collect();
    for id in &ids {
        wait_for_delay(&engine, id, 3);
    }
    engine.replace_daemon();
    for id in &ids {
        let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
    }
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json(), json!([]));
}

#[test]
fn after_a_reboot_policies_start_what_ran() {
    let mut engine = Engine::start();
    let run = |engine: &Engine, name: &str| engine.run(&with_policy("sleep 600", name, 0));
    let [always, stopped_always] = ["always", "always"].map(|name| run(&engine, name));
    let [unless, stopped_unless] = ["unless-stopped", "unless-stopped"].map(|name| run(&engine, name));
    let [failing, none] = ["on-failure", "no"].map(|name| run(&engine, name));
    let never = engine.create(&with_policy("sleep 600", "always", 0));
    for id in [&stopped_always, &stopped_unless] {
        let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    }
    let exec = engine.exec_create(&none, &json!({ "Cmd": ["true"] }));
    // All processes go at once, then what is in memory alone: the state directory. The store's notes of
    // this boot are made another's.
    engine.kill_daemon();
    let pids: Vec<u32> = berth_tests::host::processes_of(engine.directory()).into_keys().collect();
    for pid in pids.iter().filter(|pid| **pid != engine.network_pid()) {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    wait::until("the shims' end", || engine.shims().is_empty().then_some(()));
    std::fs::remove_dir_all(engine.exec_root()).expect("the state directory");
    let images = rusqlite::Connection::open(engine.data_root().join("images/images.db")).expect("the images");
    images.execute("UPDATE layers SET boot = 'another' WHERE boot IS NOT NULL", []).expect("another boot");
    drop(images);
    engine.start_daemon();
    for id in [&always, &stopped_always, &unless, &failing] {
        wait::until("it runs", || runs(&engine, id).then_some(()));
    }
    for id in [&stopped_unless, &none, &never] {
        assert_eq!(engine.state(id, "Running"), false);
    }
    assert_eq!(engine.state(&none, "ExitCode"), 137);
    assert_eq!(engine.get(&format!("/exec/{exec}/json")).status(), 404, "its container has ended");
}

#[test]
fn an_exec_that_was_made_and_not_started_outlives_the_daemon() {
    let mut engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let body = json!({ "AttachStdout": true, "Cmd": ["echo", "here"] });
    let exec = engine.exec_create(&id, &body);
    engine.replace_daemon();
    let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!(inspected["Running"], false);
    let mut stream = engine.exec_start(&exec, &json!({}));
    let output = berth_tests::frames::split(&stream.read_to_end().expect("the end")).0;
    assert_eq!(output, b"here\n");
}

#[test]
fn a_signal_to_nobody_ends_no_policy() {
    let engine = Engine::start();
    let id = engine.run(&with_policy("echo up; exit 1", "always", 0));
    // The delay between two runs doubles each time: by now it is longer than a request takes.
    let refused = wait::until("the wait for a restart", || {
        let answer = engine.post(&format!("/containers/{id}/kill?signal=HUP"));
        (answer.status() != 204).then_some(answer)
    });
    assert_eq!(
        refused.expect(500).text(),
        format!("Cannot kill container {id}: Container {id} is not running\n")
    );
    let before = engine.logs(&id).0.len();
    wait::until("another run", || (engine.logs(&id).0.len() > before).then_some(()));
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
}
