//! `GET /events`: the events of whole runs of clients, stubborn containers, registries and archives.

use berth_tests::listener::Listener;
use berth_tests::registry::{Protection, Registry, pull, push};
use berth_tests::tarball::{self, TAR};
use berth_tests::{Engine, merged, query, sh, wait};
use serde_json::{Value, json};

/// Actions that are all there are.
fn nothing() -> Vec<String> {
    Vec::new()
}

/// Puts a death behind the signal that caused it: on a busy machine it is received first.
fn told_last(mut actions: Vec<String>) -> Vec<String> {
    if let Some(death) = actions.iter().position(|action| action == "die")
        && actions.get(death + 1).is_some_and(|action| action == "kill")
    {
        actions.swap(death, death + 1);
    }
    actions
}

#[test]
fn of_stubborn_and_of_frozen_containers() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let id = engine.create(&sh("trap '' TERM; echo up; while :; do sleep 0.05; done"));
    let lives = |number: usize| {
        wait::until("its trap", || (engine.logs(&id).0.matches("up").count() == number).then_some(()));
    };
    engine.start(&id);
    lives(1);
    assert_eq!(listener.actions(), ["create", "start"]);
    let _ = engine.post(&format!("/containers/{id}/stop?t=1")).expect(204);
    assert_eq!(told_last(listener.until("stop")), ["kill", "kill", "die", "stop"], "asked, then made to");
    engine.start(&id);
    lives(2);
    let _ = engine.post(&format!("/containers/{id}/restart?t=1")).expect(204);
    let heard = told_last(listener.until("restart"));
    assert_eq!(heard, ["start", "kill", "kill", "die", "stop", "start", "restart"]);
    lives(3);
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
    let seen = listener.until("die");
    assert_eq!((&*seen[0], &*seen[seen.len() - 1]), ("pause", "die"), "{seen:?}");
    assert_eq!(engine.post(&format!("/containers/{id}/unpause")).status(), 500);
    let _ = engine.post(&format!("/containers/{id}/wait")).expect(200);
    assert_eq!(listener.actions(), nothing());
    let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    assert_eq!(listener.actions(), ["destroy"]);
}

#[test]
fn of_runs_and_execs_of_clients() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    for (tty, body) in
        [(false, sh("echo hi")), (true, merged(sh("read line"), json!({ "Tty": true, "OpenStdin": true })))]
    {
        let id = engine.create(&body);
        let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
        engine.start(&id);
        let mut wanted = vec!["create", "attach", "start"];
        if tty {
            let _ = engine.post(&format!("/containers/{id}/resize?h=10&w=20")).expect(200);
            stream.send(b"\n").expect("a line");
            wanted.push("resize");
        }
        assert_eq!(engine.wait(&id), 0);
        let _ = engine.delete(&format!("/containers/{id}")).expect(204);
        wanted.extend(["die", "destroy"]);
        assert_eq!(listener.until("destroy"), wanted);
    }
    let id = engine.run(&sh("sleep 600"));
    assert_eq!(listener.actions(), ["create", "start"]);
    let _ = engine.post(&format!("/containers/{id}/attach")).expect(200);
    assert_eq!(listener.actions(), ["attach"], "of nothing");
    let odd = json!({ "Cmd": ["sh", "-c", "echo \"a: b\" <&> ü"] });
    let exec = engine.exec_create(&id, &odd);
    assert_eq!(listener.actions(), ["exec_create: sh -c echo \"a: b\" <&> ü"], "not started");
    let _ = engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true })).expect(200);
    assert_eq!(listener.actions(), ["exec_start: sh -c echo \"a: b\" <&> ü"], "detached");
    engine.remove(&id);
}

#[test]
fn of_images_that_come_and_go_in_every_way() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let archive = tarball::of(&[("f", "only here")]);
    let import = |parameters: &str| {
        let path = format!("/images/create?fromSrc=-{parameters}");
        let _ = engine.call("POST", &path, &TAR, &archive).expect(200);
    };
    import("&repo=named&tag=x");
    assert_eq!(listener.actions(), ["import"]);
    let saved = engine.get("/images/named:x/get").expect(200).body;
    let id = engine.get("/images/named:x/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    for _ in 0..2 {
        let _ = engine.post("/images/named:x/tag?repo=other&force=1").expect(201);
        assert_eq!(listener.actions(), ["tag"], "also a second time");
    }
    let _ = engine.delete("/images/other").expect(200);
    assert_eq!(listener.actions(), ["untag"], "one of two names");
    let _ = engine.delete(&format!("/images/{id}")).expect(200);
    assert_eq!(listener.actions(), ["untag", "delete"], "by id");
    let _ = engine.call("POST", "/images/load", &TAR, &saved).expect(200);
    assert_eq!(listener.actions(), nothing(), "of a load");
    let _ = engine.delete("/images/named:x").expect(200);
    assert_eq!(listener.actions(), ["untag", "delete"]);
    import("");
    assert_eq!(listener.actions(), ["import"], "without a name");
    let container = engine.create(&sh("true"));
    let commit = engine.post(&format!("/commit?container={container}")).expect(201).json();
    assert_eq!(listener.actions(), ["create", "commit"], "without a name");
    engine.remove(&container);
    let unnamed = engine.get(&format!("/images/json{}", query(&[("filters", r#"{"dangling":["true"]}"#)])));
    for image in unnamed.expect(200).json().as_array().expect("a list") {
        let _ = engine.delete(&format!("/images/{}", image["Id"].as_str().expect("an id"))).expect(200);
    }
    assert!(commit["Id"].is_string());
    let heard = listener.actions();
    assert_eq!(heard, ["destroy", "delete", "delete"]);
}

#[test]
fn of_registries() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let name = format!("{}/a", registry.host);
    let import = format!("/images/create{}", query(&[("fromSrc", "-"), ("repo", &name), ("tag", "v1")]));
    let _ = engine.call("POST", &import, &TAR, &tarball::of(&[("f", "pushed")])).expect(200);
    let second = query(&[("repo", &name), ("tag", "v2")]);
    let _ = engine.post(&format!("/images/{name}:v1/tag{second}")).expect(201);
    let mut listener = Listener::new(&engine);
    let heard = |listener: &mut Listener<'_>| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        listener.received().iter().map(|event| (text(&event["status"]), text(&event["id"]))).collect()
    };
    let pair = |action: &str, id: &str| (action.to_owned(), id.to_owned());
    let pushed = push(&engine, &name, "v1", None).succeeded();
    assert_eq!(heard(&mut listener), [pair("push", &name)]);
    let last = *pushed.lines().last().expect("a line");
    let digest = last.split_once("digest: ").and_then(|(_, rest)| rest.split_once(' ')).expect("a digest").0;
    let _ = push(&engine, &name, "", None).succeeded();
    assert_eq!(heard(&mut listener), [pair("push", &name)], "of all tags");
    let _ = pull(&engine, &name, "v1", &[]).succeeded();
    assert_eq!(heard(&mut listener), [pair("pull", &format!("{name}:v1"))]);
    let _ = pull(&engine, &format!("{name}@{digest}"), "", &[]).succeeded();
    assert_eq!(heard(&mut listener), [pair("pull", &format!("{name}@{digest}"))]);
    let _ = pull(&engine, &name, "", &[]).succeeded();
    assert_eq!(heard(&mut listener), [pair("pull", &name)], "of all tags");
    let _ = pull(&engine, &name, "nosuch", &[]).failure();
    let _ = push(&engine, &format!("{name}/nosuch"), "v1", None).failure();
    assert_eq!(heard(&mut listener), [], "of what fails");
    for reference in [format!("{name}:v1"), format!("{name}:v2")] {
        let _ = engine.delete(&format!("/images/{reference}")).expect(200);
    }
}
