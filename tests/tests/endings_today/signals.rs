//! What ends a container: the signal of a stop since 1.42, words and bodies of today.

use berth_tests::wait;

use super::*;

/// Prints which signal came.
const TRAPS: &str = "for s in USR1 TERM HUP QUIT; do trap \"echo $s; exit 11\" $s; done; echo ready; \
                     while :; do sleep 0.02; done";

fn ready(client: &Client, id: &str, times: usize) {
    let is_ready = || (client.logs(id).0.matches("ready").count() == times).then_some(());
    wait::until("its traps are set", is_ready);
}

fn signals(client: &Client, id: &str) -> Vec<String> {
    let (output, _) = client.logs(id);
    output.lines().filter(|line| *line != "ready").map(str::to_owned).collect()
}

#[test]
fn stop_and_restart_take_a_signal() {
    let engine = Today::start();
    let id = engine.run(&merged(sh(TRAPS), json!({ "StopSignal": "SIGUSR1" })));
    ready(&engine, &id, 1);
    let bad = engine.post(&format!("/containers/{id}/stop?signal=NONSENSE")).expect(400);
    assert!(bad.message().contains("signal"), "{}", bad.message());
    assert_eq!(signals(&engine, &id), Vec::<String>::new());
    let _ = engine.post(&format!("/containers/{id}/restart?signal=QUIT")).expect(204);
    ready(&engine, &id, 2);
    let _ = engine.at("1.41").post(&format!("/containers/{id}/restart?signal=HUP")).expect(204);
    ready(&engine, &id, 3);
    let _ = engine.post(&format!("/containers/{id}/stop?signal=1")).expect(204);
    assert_eq!(signals(&engine, &id), ["QUIT", "USR1", "HUP"]);
    assert_eq!(engine.state(&id, "ExitCode"), 11);
    let kill = engine.past_events(&json!({ "container": [id], "event": ["kill"] }));
    let sent: Vec<&Value> = kill.iter().map(|event| &event["Actor"]["Attributes"]["signal"]).collect();
    assert_eq!(sent, ["3", "10", "1"]);
}

#[test]
fn the_end_is_told_with_how_long_it_ran() {
    let engine = Today::start();
    let id = engine.run(&sh("sleep 1.2; exit 3"));
    let _ = engine.wait(&id);
    // On a busy machine it takes longer than it sleeps.
    let time = |name: &str| {
        let text = engine.state(&id, name).as_str().expect("a time").to_owned();
        let date = std::process::Command::new("date").args(["-d", &text, "+%s%N"]).output();
        let text = String::from_utf8(date.expect("date(1)").stdout).expect("text");
        text.trim().parse::<u64>().expect("nanoseconds")
    };
    let seconds = (time("FinishedAt") - time("StartedAt")) / 1_000_000_000;
    assert!(seconds >= 1, "{seconds}");
    let die = engine.past_events(&json!({ "container": [id], "event": ["die"] })).remove(0);
    let attributes = &die["Actor"]["Attributes"];
    let wanted = (json!("3"), json!(seconds.to_string()));
    assert_eq!((&attributes["exitCode"], &attributes["execDuration"]), (&wanted.0, &wanted.1));
}

#[test]
fn a_start_takes_no_settings_since_1_24() {
    let engine = Today::start();
    let id = engine.create(&sh("sleep 600"));
    let path = format!("/containers/{id}/start");
    for version in ["1.24", "1.55"] {
        let refused = engine.at(version).post_json(&path, &json!({ "Binds": ["/tmp:/x"] })).expect(400);
        assert!(refused.message().contains("non-empty request body"), "{}", refused.message());
    }
    assert_eq!(engine.state(&id, "Status"), "created");
    let _ = engine.post_json(&path, &json!({})).expect(204);
    let older = engine.create(&sh("sleep 600"));
    let body = json!({ "Binds": ["/tmp:/x"] });
    let _ = engine.at("1.23").post_json(&format!("/containers/{older}/start"), &body).expect(204);
    assert_eq!(engine.inspect(&older)["HostConfig"]["Binds"], json!(["/tmp:/x"]));
}

#[test]
fn refusals_have_words_of_today() {
    let engine = Today::start();
    let id = engine.create_named("web", &sh("sleep 600"));
    let taken = engine.post_json("/containers/create?name=/web", &sh("true")).expect(409).message();
    assert!(taken.contains(&format!("name \"/web\" is already in use by container \"{id}\"")), "{taken}");
    assert_eq!(
        engine.post("/containers/nosuch/kill").expect(404).message(),
        "Cannot kill container nosuch: No such container: nosuch"
    );
    engine.start(&id);
    let path = format!("/containers/{id}");
    let running = engine.delete(&path).expect(409).message();
    assert!(running.contains("is running") && running.contains("force"), "{running}");
    let _ = engine.post(&format!("{path}/pause")).expect(204);
    assert_eq!(engine.state(&id, "Status"), "paused");
    let paused = engine.delete(&path).expect(409).message();
    assert!(paused.contains("is paused"), "{paused}");
    let old = engine.daemon.delete(&path).expect(409).text();
    assert!(old.contains("Conflict, You cannot remove a running container."), "{old}");
    for name in ["x", "/x", "a!b", "-ab", "a/b"] {
        let query = berth_tests::query(&[("name", name)]);
        for version in ["1.20", "1.24", "1.55"] {
            let answer = engine.at(version).post_json(&format!("/containers/create{query}"), &sh("true"));
            let status = if version == "1.20" { 500 } else { 400 };
            assert!(answer.expect(status).text().contains("Invalid container name"), "{name} at {version}");
        }
    }
}
