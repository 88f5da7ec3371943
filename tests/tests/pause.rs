//! Pause and unpause.

use berth_tests::{Engine, sh, wait};
use serde_json::json;

#[test]
fn a_paused_container_stands_still() {
    let engine = Engine::start();
    let id = engine.run(&sh("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"));
    wait::until("output", || (engine.logs(&id).0.lines().count() > 3).then_some(()));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let state = engine.inspect(&id)["State"].clone();
    assert_eq!((&state["Paused"], &state["Running"]), (&json!(true), &json!(true)));
    let listed = engine.get("/containers/json").json();
    assert!(listed[0]["Status"].as_str().is_some_and(|status| status.contains("(Paused)")), "{listed}");
    // What it had written by then may still be on its way.
    let before = wait::until("the end of its output", || {
        let before = engine.logs(&id).0;
        std::thread::sleep(std::time::Duration::from_millis(300));
        (engine.logs(&id).0 == before).then_some(before)
    });
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    wait::until("more output", || (engine.logs(&id).0.len() > before.len()).then_some(()));
    assert_eq!(engine.state(&id, "Paused"), false);
}

#[test]
fn what_cannot_be_done_in_a_state_is_refused() {
    let engine = Engine::start();
    let created = engine.create(&sh("true"));
    let running = engine.run(&sh("sleep 600"));
    let refused = |id: &str, act: &str, text: &str| {
        let answer = engine.post(&format!("/containers/{id}/{act}")).expect(500);
        assert_eq!(answer.text(), format!("Cannot {act} container {id}: Container {id} {text}\n"));
    };
    refused(&created, "pause", "is not running");
    refused(&created, "unpause", "is not running");
    refused(&running, "unpause", "is not paused");
    let _ = engine.post(&format!("/containers/{running}/pause")).expect(204);
    refused(&running, "pause", "is already paused");
    let answer = engine.post(&format!("/containers/{running}/start")).expect(500);
    assert_eq!(answer.text(), "Cannot start a paused container, try unpause instead.\n");
    let exec = json!({ "Cmd": ["true"] });
    let answer = engine.post_json(&format!("/containers/{running}/exec"), &exec).expect(500);
    assert_eq!(answer.text(), format!("Container {running} is paused, unpause the container before exec\n"));
    for act in ["pause", "unpause"] {
        let answer = engine.post(&format!("/containers/nosuch/{act}")).expect(404);
        assert_eq!(answer.text(), "no such id: nosuch\n");
    }
}

#[test]
fn readers_do_not_wait_for_a_paused_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let exec = engine.exec_create(&id, &json!({ "Cmd": ["true"], "AttachStdout": true }));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let answer = engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": false })).expect(500);
    assert_eq!(answer.text(), format!("Container {id} is paused, unpause the container before exec\n"));
    let _ = engine.get("/containers/json?all=1").expect(200);
    assert_eq!(engine.inspect(&id)["State"]["Paused"], true);
}

#[test]
fn only_signals_that_ask_it_to_end_thaw_a_paused_container() {
    let engine = Engine::start();
    let today = engine.at("1.40");
    let script = "trap 'echo reloaded' HUP; trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done";
    let actions = |id: &str| {
        let events =
            today.past_events(&json!({ "container": [id], "event": ["pause", "unpause", "kill", "die"] }));
        events.iter().map(|event| event["Action"].as_str().expect("an action").to_owned()).collect::<Vec<_>>()
    };
    for (act, expected) in [
        ("kill?signal=TERM", vec!["pause", "kill", "unpause", "kill", "die"]),
        ("kill", vec!["pause", "kill", "unpause", "kill", "die"]),
        ("stop", vec!["pause", "kill", "unpause", "kill", "die"]),
    ] {
        let id = engine.run(&sh(script));
        wait::until("its start", || (engine.logs(&id).0 == "up\n").then_some(()));
        let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
        let _ = engine.post(&format!("/containers/{id}/kill?signal=HUP")).expect(204);
        assert_eq!(engine.state(&id, "Paused"), true, "it stays what the client made it");
        let _ = engine.post(&format!("/containers/{id}/{act}")).expect(204);
        wait::until("its end", || (engine.state(&id, "Running") == false).then_some(()));
        wait::until("its events", || (actions(&id) == expected).then_some(()));
    }
    let id = engine.run(&sh(script));
    wait::until("its start", || (engine.logs(&id).0 == "up\n").then_some(()));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/kill?signal=HUP")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    wait::until("the signal that waited", || (engine.logs(&id).0 == "up\nreloaded\n").then_some(()));
}
