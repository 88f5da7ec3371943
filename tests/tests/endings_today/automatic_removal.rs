//! `HostConfig.AutoRemove`, since 1.25: the engine itself removes the container when it ends.

use berth_tests::wait;

use super::*;

/// Waits until a container is gone.
fn gone(client: &Client, id: &str) {
    let gone = || (client.get(&format!("/containers/{id}/json")).status() == 404).then_some(());
    wait::until("the container is removed", gone);
}

/// The names of a container's volumes, by their places.
fn volume_at(client: &Client, id: &str, place: &str) -> String {
    let inspected = client.inspect(id);
    let mounts = inspected["Mounts"].as_array().expect("mounts").iter();
    let mut names = mounts.filter(|mount| mount["Destination"] == place).map(|mount| &mount["Name"]);
    names.next().and_then(Value::as_str).expect("a volume").to_owned()
}

#[test]
fn it_goes_with_its_anonymous_volumes_though_its_client_left() {
    let mut engine = Today::start();
    let body = merged(
        passing("exit 7"),
        json!({ "Volumes": { "/own": {} }, "HostConfig": { "Binds": ["data:/data"] } }),
    );
    let id = engine.create(&body);
    let own = volume_at(&engine, &id, "/own");
    let waiting = acknowledged(&engine, &id, "removed").answer_later();
    engine.start(&id);
    assert_eq!(waiting.join().expect("an answer"), json!({ "StatusCode": 7 }));
    let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
    let _ = engine.get(&format!("/volumes/{own}")).expect(404);
    let _ = engine.get("/volumes/data").expect(200);
    let without_a_client = engine.run(&passing("true"));
    gone(&engine, &without_a_client);
    // One that was never started stays.
    let created = engine.create(&passing("true"));
    engine.daemon.replace_daemon();
    assert_eq!(engine.inspect(&created)["HostConfig"]["AutoRemove"], true);
}

#[test]
fn events_come_in_order_however_it_ends() {
    let engine = Today::start();
    for (end, expected) in [
        ("stop?t=0", vec!["create", "start", "kill", "die", "stop", "destroy"]),
        ("kill", vec!["create", "start", "kill", "die", "destroy"]),
    ] {
        let id = engine.run(&passing("sleep 600"));
        let waiting = acknowledged(&engine, &id, "removed");
        let _ = engine.post(&format!("/containers/{id}/{end}")).expect(204);
        assert_eq!(waiting.answer(), json!({ "StatusCode": 137 }), "{end}");
        let mut seen = actions(&engine, &id);
        if let Some(stop) = seen.iter().position(|action| action == "stop")
            && seen[stop + 1] == "die"
        {
            // A concurrent stop sees the end.
            seen.swap(stop, stop + 1);
        }
        assert_eq!(seen, expected, "{end}");
    }
}

#[test]
fn a_start_that_fails_is_an_end() {
    let engine = Today::start();
    let id = engine.create(&merged(passing("true"), json!({ "Cmd": ["nosuchcommand"] })));
    let waiting = acknowledged(&engine, &id, "removed");
    let _ = engine.post(&format!("/containers/{id}/start")).expect(400);
    let answer = waiting.answer();
    assert_eq!(answer["StatusCode"], 127);
    assert!(answer["Error"]["Message"].as_str().expect("a message").contains("nosuchcommand"));
    let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
}

#[test]
fn a_restart_is_no_end() {
    let engine = Today::start();
    let id = engine.run(&passing("sleep 600"));
    for _ in 0..5 {
        let _ = engine.post(&format!("/containers/{id}/restart?t=0")).expect(204);
        assert_eq!(engine.state(&id, "Status"), "running");
    }
    let waiting = acknowledged(&engine, &id, "removed");
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert_eq!(waiting.answer()["StatusCode"], 137);
}

#[test]
fn a_policy_that_starts_it_again_contradicts_it() {
    let engine = Today::start();
    let policy = |name: &str| json!({ "HostConfig": { "RestartPolicy": { "Name": name } } });
    let both = engine.post_json("/containers/create", &merged(passing("true"), policy("always"))).expect(400);
    assert!(both.message().contains("AutoRemove"), "{}", both.message());
    let id = engine.create(&merged(passing("true"), policy("no")));
    let update = json!({ "RestartPolicy": { "Name": "always" } });
    let update = engine.post_json(&format!("/containers/{id}/update"), &update).expect(409);
    assert!(update.message().contains("AutoRemove"), "{}", update.message());
}

#[test]
fn it_is_removed_by_the_next_daemon_when_none_saw_its_end() {
    let mut engine = Today::start();
    let body = merged(passing("until [ -e /go ]; do sleep 0.02; done"), json!({ "Volumes": { "/own": {} } }));
    let (ended, runs) = (engine.run(&body), engine.run(&passing("sleep 600")));
    let (volume, pid) = (volume_at(&engine, &ended, "/own"), engine.pid(&ended));
    let exec = engine.exec_create(&ended, &json!({ "Cmd": ["sh", "-c", "sleep 0.3; touch /go"] }));
    let start = engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true }));
    let _ = start.expect(200);
    engine.daemon.kill_daemon();
    wait::until("its end", || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    engine.daemon.start_daemon();
    gone(&engine, &ended);
    let _ = engine.get(&format!("/volumes/{volume}")).expect(404);
    assert_eq!(actions(&engine, &ended).last().map(String::as_str), Some("destroy"));
    assert_eq!(engine.state(&runs, "Status"), "running");
}

#[test]
fn many_at_once_give_their_codes_and_go() {
    let engine = Today::start();
    let waiting: Vec<_> = (0..8)
        .map(|number| {
            let id = engine.create(&passing(&format!("exit {}", 20 + number)));
            let waiting = acknowledged(&engine, &id, "removed").answer_later();
            engine.start(&id);
            waiting
        })
        .collect();
    for (number, one) in waiting.into_iter().enumerate() {
        assert_eq!(one.join().expect("an answer"), json!({ "StatusCode": 20 + number }));
    }
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json(), json!([]));
}
