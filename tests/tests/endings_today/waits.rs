//! `POST /containers/{id}/wait` with conditions, since 1.30.

use berth_tests::{Engine, Options};

use super::*;

#[test]
fn the_head_comes_at_once_and_the_answer_with_the_end() {
    let engine = Today::start();
    let idle = engine.run(&sh("until [ -e /go ]; do sleep 0.02; done; exit 5"));
    let waiting = acknowledged(&engine, &idle, "").answer_later();
    assert!(!waiting.is_finished());
    assert_eq!(engine.exec(&idle, &["touch", "/go"]).code, 0);
    assert_eq!(waiting.join().expect("an answer"), json!({ "StatusCode": 5 }));
    // One that does not run is answered at once.
    assert_eq!(engine.wait(&idle), 5);
    for condition in ["", "not-running"] {
        assert_eq!(acknowledged(&engine, &engine.create(&sh("true")), condition).answer()["StatusCode"], 0);
    }
}

#[test]
fn older_versions_answer_whole_unless_a_condition_is_named() {
    let engine = Today::start();
    let id = engine.create(&sh("exit 5"));
    let old = engine.at("1.29").post(&format!("/containers/{id}/wait?condition=nonsense")).expect(200);
    assert!(old.head.header("content-length").is_some());
    assert_eq!(old.json(), json!({ "StatusCode": 0 }));
    // Current clients that are held to an old version send the condition all the same.
    let waiting = acknowledged(&engine.at("1.20"), &id, "next-exit").answer_later();
    engine.start(&id);
    assert_eq!(waiting.join().expect("an answer"), json!({ "StatusCode": 5 }));
    let bad = engine.post("/containers/nosuch/wait?condition=nonsense").expect(400);
    assert_eq!(bad.message(), "invalid condition: \"nonsense\"");
    let missing = engine.post("/containers/nosuch/wait?condition=removed").expect(404);
    assert_eq!(missing.message(), "No such container: nosuch");
}

#[test]
fn next_exit_waits_for_an_end_that_is_to_come_and_no_failed_start() {
    let engine = Today::start();
    let id = engine.create(&sh("exit 5"));
    for _ in 0..2 {
        let waiting = acknowledged(&engine, &id, "next-exit").answer_later();
        engine.start(&id);
        assert_eq!(waiting.join().expect("an answer"), json!({ "StatusCode": 5 }));
    }
    let broken = engine.create(&json!({ "Image": "busybox", "Cmd": ["nosuchcommand"] }));
    let waiting = acknowledged(&engine, &broken, "next-exit").answer_later();
    let _ = engine.post(&format!("/containers/{broken}/start")).expect(400);
    // The end of its program that is to come is the removal's.
    assert!(!waiting.is_finished());
    engine.remove(&broken);
    assert_eq!(waiting.join().expect("an answer")["StatusCode"], 127);
}

#[test]
fn removed_waits_until_the_container_is_gone() {
    let engine = Today::start();
    let id = engine.run(&sh("exit 6"));
    let waiting = acknowledged(&engine, &id, "removed").answer_later();
    assert_eq!(engine.wait(&id), 6);
    assert!(!waiting.is_finished());
    let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    assert_eq!(waiting.join().expect("an answer"), json!({ "StatusCode": 6 }));
    let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
}

#[test]
fn a_removal_answers_all_who_wait() {
    let engine = Today::start();
    let id = engine.run(&sh("sleep 600"));
    let waiting = ["not-running", "next-exit", "removed"].map(|condition| {
        let waiting = acknowledged(&engine, &id, condition);
        waiting.answer_later()
    });
    engine.remove(&id);
    for one in waiting {
        assert_eq!(one.join().expect("an answer"), json!({ "StatusCode": 137 }));
    }
    let created = engine.create(&sh("true"));
    let waiting = acknowledged(&engine, &created, "next-exit").answer_later();
    engine.remove(&created);
    assert_eq!(waiting.join().expect("an answer"), json!({ "StatusCode": 0 }));
}

#[test]
fn why_a_start_failed_is_said() {
    let engine = Today::start();
    let id = engine.create(&json!({ "Image": "busybox", "Cmd": ["nosuchcommand"] }));
    let _ = engine.post(&format!("/containers/{id}/start")).expect(400);
    let answer = acknowledged(&engine, &id, "").answer();
    assert_eq!(answer["StatusCode"], 127);
    let message = answer["Error"]["Message"].as_str().expect("a message");
    assert!(message.contains("nosuchcommand"), "{message}");
    let old = engine.at("1.33").post(&format!("/containers/{id}/wait")).expect(200);
    assert_eq!(old.json(), json!({ "StatusCode": 127 }));
}

#[test]
fn a_removal_that_fails_is_said_to_those_who_wait_for_it() {
    let fault = std::env::temp_dir().join(format!("berth-removal-fails-{}", std::process::id()));
    let engine = Engine::start_with(Options {
        environment: vec![("BERTH_FAULT".to_owned(), format!("database-fails-while:{}", fault.display()))],
        ..Options::default()
    });
    let today = engine.at("1.55");
    let id = today.create(&sh("true"));
    let waiting = acknowledged(&today, &id, "removed");
    std::fs::write(&fault, "").expect("a file");
    let refused = today.delete(&format!("/containers/{id}")).expect(500).message();
    std::fs::remove_file(&fault).expect("the file to go");
    let answer = waiting.answer();
    let message = answer["Error"]["Message"].as_str().expect("a message");
    assert!(refused.ends_with(message), "{refused}: {message}");
    let _ = today.delete(&format!("/containers/{id}")).expect(204);
}
