//! What a probe is in its container, and what is left of it: nothing.

use std::fs;

use berth_tests::host::descriptors_of;
use berth_tests::{Client, Engine, merged, query, wait};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use super::{MILLISECOND, checked, health, results, told, until};

#[test]
fn a_probe_is_all_that_a_process_of_the_container_is() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let script = "id; pwd; echo $A; grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups)' /proc/self/status; \
                  cat /proc/self/oom_score_adj /proc/self/cgroup; ulimit -n; tty; \
                  for kind in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$kind; done";
    let settings = json!({
        "User": "1234:77", "WorkingDir": "/tmp", "Env": ["A=of the container"],
        "HostConfig": { "CapDrop": ["ALL"], "CapAdd": ["NET_RAW"], "GroupAdd": ["78"], "OomScoreAdj": 7,
                        "Ulimits": [{ "Name": "nofile", "Soft": 99, "Hard": 100 }],
                        "SecurityOpt": ["no-new-privileges"] },
    });
    let id = today.run(&merged(checked(&["CMD-SHELL", script], json!({})), settings));
    let output = until(&today, &id, "healthy")["Log"][0]["Output"].as_str().expect("a text").to_owned();
    assert!(output.starts_with("uid=1234 gid=77") && output.contains("/tmp\nof the container\n"), "{output}");
    assert_eq!(output, today.exec(&id, &["sh", "-c", script]).stdout, "as an exec");
}

#[test]
fn the_last_five_results_are_kept_with_the_beginning_of_their_output() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let script = "echo $(($(cat /n 2>/dev/null) + 1)) > /n; cat /n; echo error >&2; head -c 5000 /dev/zero | tr '\\0' x";
    let id = today.run(&checked(&["CMD-SHELL", script], json!({})));
    let log = wait::until("the sixth result", || {
        let log = results(&today, &id, 5);
        (!log[0]["Output"].as_str()?.starts_with("1\n")).then_some(log)
    });
    assert_eq!(log.len(), 5);
    let number = |result: &Value| -> usize {
        let output = result["Output"].as_str().expect("a text");
        assert_eq!(output.len(), 4099, "4096 bytes, and dots");
        assert!(output.ends_with("xxx...") && output.contains("\nerror\n"), "both its outputs: {output}");
        output.lines().next().and_then(|line| line.parse().ok()).expect("a number")
    };
    let first = number(&log[0]);
    let numbers: Vec<usize> = log.iter().map(number).collect();
    assert_eq!(numbers, (first..first + 5).collect::<Vec<_>>(), "in order");
}

/// The processes whose parent is the container's init, and whether each is a zombie.
fn children_of(pid: u32) -> Vec<(u32, bool)> {
    let relation = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let is_zombie = fields.next() == Some("Z");
        (fields.next() == Some(pid.to_string().as_str())).then_some((number, is_zombie))
    };
    fs::read_dir("/proc").expect("/proc").flatten().filter_map(relation).collect()
}

/// The commands of the container's processes.
fn commands(engine: &Client, id: &str) -> Vec<String> {
    let top = engine.get(&format!("/containers/{id}/top?ps_args=-eo%20pid,args")).expect(200).json();
    let rows = top["Processes"].as_array().expect("rows").iter();
    rows.map(|row| row.as_array().and_then(|row| row.last()?.as_str()).expect("a command").to_owned())
        .collect()
}

/// The shim of a container: the parent of its init.
fn shim_of(engine: &Client, id: &str) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", engine.pid(id))).expect("it runs");
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
    parent.expect("a parent")
}

#[test]
fn a_probe_that_takes_too_long_is_killed_with_all_that_came_of_it() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    // Some leave its session, some their parent; none ends by itself, and the container's init never reaps.
    let script = "echo so far; trap '' TERM INT HUP; sleep 4711 & setsid sleep 4712 & (setsid sleep 4713 & sleep 4714 &); \
                  sh -c 'sleep 4715 & sleep 4716' & sleep 4717; true";
    let limits = json!({ "Timeout": 300 * MILLISECOND, "Retries": 1 });
    let id = today.run(&checked(&["CMD-SHELL", script], limits));
    let (init, shim) = (today.pid(&id), shim_of(&today, &id));
    // On a busy machine the time may be over before a probe has printed anything.
    wait::until("what a probe said", || {
        let seen = results(&today, &id, 1);
        assert!(seen.iter().all(|result| result["ExitCode"] == -1), "{seen:?}");
        let said = |result: &Value| result["Output"] == "Health check exceeded timeout (300ms): so far\n";
        seen.iter().any(said).then_some(())
    });
    assert_eq!(health(&today, &id)["Status"], "unhealthy");
    results(&today, &id, 5);
    // Between two probes nothing is there; a moment without any must come.
    wait::until("the end of what a probe has started", || {
        (commands(&today, &id).len() == 1 && descriptors_of(shim) < 20).then_some(())
    });
    assert_eq!(children_of(init), [], "no zombie is left to the container");
    let zombies: Vec<u32> =
        children_of(shim).into_iter().filter_map(|(pid, gone)| gone.then_some(pid)).collect();
    wait::until("the shim to reap", || {
        zombies.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true)).then_some(())
    });
}

#[test]
fn what_a_probe_leaves_behind_lives_and_is_reaped_when_it_ends() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let script = "test -f /begun && exit; touch /begun; sleep 4721 & sleep 0.2 &";
    let id = today.run(&checked(&["CMD-SHELL", script], json!({})));
    results(&today, &id, 5);
    assert_eq!(health(&today, &id)["Status"], "healthy", "it is not waited for");
    wait::until("the shorter one's end", || {
        let left = commands(&today, &id);
        (!left.iter().any(|command| command.contains("sleep 0.2"))).then_some(())
    });
    assert!(commands(&today, &id).iter().any(|command| command.contains("sleep 4721")));
    assert!(children_of(today.pid(&id)).iter().all(|(_, is_zombie)| !is_zombie));
}

/// The process of this command, on the host, once its shell has become it.
fn process_of(engine: &Client, id: &str, command: &str) -> u32 {
    wait::until(command, || {
        let top = engine.get(&format!("/containers/{id}/top?ps_args=-eo%20pid,args")).expect(200).json();
        let rows = top["Processes"].as_array()?.iter().filter_map(Value::as_array);
        let mut rows = rows.filter(|row| row.last().is_some_and(|last| last == command));
        rows.next()?[0].as_str()?.parse().ok()
    })
}

fn send(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, signal).expect("it runs");
}

/// The reaper of what a probe left behind is no obstacle to the container's end when it ends together with an exec that
/// was there before it, which the shim sees first.
#[test]
fn what_ends_behind_an_exec_is_reaped_too() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let script = "test -f /go || exit 1; sleep 4731 &";
    let hour = 3_600_000 * MILLISECOND;
    let often_at_first = json!({ "Interval": hour, "StartPeriod": hour, "StartInterval": 50 * MILLISECOND });
    let id = today.run(&checked(&["CMD-SHELL", script], often_at_first));
    let exec = today.exec_create(&id, &json!({ "Cmd": ["sleep", "4732"] }));
    let _ = today.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true })).expect(200);
    assert_eq!(today.exec(&id, &["touch", "/go"]).code, 0);
    until(&today, &id, "healthy");
    let (left, older) = (process_of(&today, &id, "sleep 4731"), process_of(&today, &id, "sleep 4732"));
    let shim = shim_of(&today, &id);
    let zombies = || children_of(shim).iter().filter(|(_, is_zombie)| *is_zombie).count();
    send(shim, Signal::STOP);
    for process in [left, older] {
        let before = zombies();
        send(process, Signal::KILL);
        wait::until("its end", || (zombies() > before).then_some(()));
    }
    send(shim, Signal::CONT);
    wait::until("the shim to reap both", || (zombies() == 0).then_some(()));
    let _ = today.post(&format!("/containers/{id}/kill")).expect(204);
    assert_eq!(today.wait(&id), 137);
}

#[test]
fn nothing_gathers_in_the_shim() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let script = "echo $(($(cat /n 2>/dev/null) + 1)) > /n; cat /n";
    let id = today.run(&checked(&["CMD-SHELL", script], json!({ "Interval": MILLISECOND })));
    let shim = shim_of(&today, &id);
    let count = || {
        let found = health(&today, &id);
        let last = found["Log"]
            .as_array()
            .and_then(|log| log.last()?["Output"].as_str()?.trim().parse::<u32>().ok());
        last.unwrap_or_default()
    };
    wait::until("the first probes", || (count() > 10).then_some(()));
    let before = descriptors_of(shim);
    wait::until("many probes", || (count() > 100).then_some(()));
    // Some belong to a probe that runs; one that is left of each would be many more.
    let after = descriptors_of(shim);
    assert!(after <= before + 10, "{after} descriptors, {before} before");
    assert!(children_of(shim).len() <= 10, "{:?}", children_of(shim));
    assert_eq!(today.logs(&id), (String::new(), String::new()), "its output is no output of the container");
}

#[test]
fn a_probe_that_cannot_be_run_fails() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&checked(&["CMD", "/nope"], json!({})));
    let found = until(&today, &id, "unhealthy");
    assert_eq!(found["Log"][0]["ExitCode"], -1);
    let output = found["Log"][0]["Output"].as_str().expect("a text");
    assert!(output.contains("\"/nope\"") && output.contains("no such file or directory"), "{output}");
}

#[test]
fn probes_are_events_of_execs_to_those_who_listen_and_to_those_who_come_later() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.create(&checked(&["CMD", "sh", "-c", "exit 3"], json!({})));
    let filters = json!({ "container": [id], "event": ["exec_create", "exec_start", "exec_die"] });
    let path = format!("/events{}", query(&[("filters", &filters.to_string())]));
    let (head, mut listener) = today.open("GET", &path, &[], b"");
    assert_eq!(head.status, 200);
    today.start(&id);
    let mut text = String::new();
    while !text.contains("exec_die") || !text.ends_with('\n') {
        let chunk = listener.read_chunk().expect("an event").expect("no early end");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).take(3).collect();
    let actions: Vec<&str> = events.iter().filter_map(|event| event["Action"].as_str()).collect();
    assert_eq!(actions, ["exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die"]);
    let attributes = |event: &Value, name: &str| event["Actor"]["Attributes"][name].clone();
    assert_eq!(attributes(&events[2], "exitCode"), "3");
    assert!(events.iter().all(|event| attributes(event, "execID") == attributes(&events[0], "execID")));
    assert_eq!(attributes(&events[0], "execID").as_str().map(str::len), Some(64));
    let _ = today.post(&format!("/containers/{id}/kill")).expect(204);
    let _ = today.wait(&id);
    let past = today.past_events(&filters);
    assert_eq!(past[..3], events, "they are kept for a while");
}

#[test]
fn time_stands_still_for_the_checks_of_a_paused_container() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&checked(&["CMD", "true"], json!({})));
    until(&today, &id, "healthy");
    let _ = today.post(&format!("/containers/{id}/pause")).expect(204);
    // What a probe found that was over by then may still be on its way.
    let paused = wait::until("no probe to be made", || {
        let paused = health(&today, &id);
        std::thread::sleep(std::time::Duration::from_millis(300));
        (health(&today, &id) == paused).then_some(paused)
    });
    assert_eq!(paused["Status"], "unhealthy");
    let _ = today.post(&format!("/containers/{id}/unpause")).expect(204);
    until(&today, &id, "healthy");
    assert_eq!(told(&today, &id), ["health_status: healthy"; 2]);
    // What freezes it for a moment changes nothing.
    let _ = today.post_json(&format!("/commit?container={id}&repo=frozen"), &json!({})).expect(201);
    assert_eq!(health(&today, &id)["Status"], "healthy");
    assert_eq!(told(&today, &id).len(), 2);
    let _ = today.delete("/images/frozen?force=1").expect(200);
}
