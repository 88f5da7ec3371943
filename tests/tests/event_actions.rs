//! `GET /events`: the events of each request for listeners, in order, and none for those that fail.

use berth_tests::listener::Listener;
use berth_tests::tarball::{self, TAR};
use berth_tests::{Built, Context, Engine, merged, sh, wait};
use serde_json::{Value, json};

#[test]
fn of_containers() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let script = "trap 'exit 3' TERM; trap : HUP; echo up; while :; do sleep 0.05; done";
    let id = engine.create_named("one", &sh(script));
    let at = |path: &str| format!("/containers/{id}/{path}");
    let post = |path: &str| engine.post(&at(path)).status();
    assert_eq!(listener.actions(), ["create"]);
    engine.start(&id);
    wait::until("its traps", || engine.logs(&id).0.contains("up").then_some(()));
    assert_eq!(listener.actions(), ["start"]);
    for (request, action) in [
        ("start", None),
        ("pause", Some("pause")),
        ("unpause", Some("unpause")),
        ("unpause", None),
        ("rename?name=two", Some("rename")),
        ("rename?name=marker", None),
        ("resize?h=10&w=20", Some("resize")),
        ("resize?h=bad&w=20", None),
        ("kill?signal=HUP", Some("kill")),
        ("kill?signal=NONE", None),
    ] {
        let _ = post(request);
        assert_eq!(listener.actions(), Vec::from_iter(action), "{request}");
    }
    for (method, request, action) in [
        ("GET", "top", Some("top")),
        ("GET", "top?ps_args=--nosuch", None),
        ("GET", "json", None),
        ("GET", "changes", None),
        ("GET", "logs?stdout=1", None),
        ("GET", "stats?stream=0", None),
        ("HEAD", "archive?path=/etc", None),
        ("GET", "archive?path=/etc", Some("archive-path")),
        ("GET", "archive?path=/no", None),
        ("GET", "export", Some("export")),
        ("POST", "attach?stdout=1&logs=1", Some("attach")),
    ] {
        let _ = engine.call(method, &at(request), &[], b"");
        assert_eq!(listener.actions(), Vec::from_iter(action), "{request}");
    }
    let one = tarball::of(&[("f", "x")]);
    let _ = engine.call("PUT", &at("archive?path=/tmp"), &TAR, &one).expect(200);
    assert_eq!(listener.actions(), ["extract-to-dir"]);
    let _ = engine.call("PUT", &at("archive?path=/no"), &TAR, &one).expect(404);
    assert_eq!(listener.actions(), Vec::<String>::new());
    assert_eq!(engine.exec(&id, &["echo", "a", "b"]).code, 0);
    assert_eq!(listener.actions(), ["exec_create: echo a b", "exec_start: echo a b"]);
    let _ = engine.exec(&id, &["nosuch"]);
    assert_eq!(listener.actions(), ["exec_create: nosuch ", "exec_start: nosuch "]);
    assert_eq!(post("stop?t=20"), 204);
    assert_eq!(listener.until("stop"), ["kill", "die", "stop"]);
    assert_eq!((post("stop"), post("kill")), (304, 500));
    assert_eq!(post("restart?t=20"), 204);
    assert_eq!(listener.until("restart"), ["start", "restart"]);
    let ended = engine.delete(&format!("/containers/{id}"));
    assert_eq!((ended.status(), listener.actions()), (409, Vec::new()), "it runs");
    let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
    assert_eq!(listener.until("destroy"), ["kill", "die", "destroy"]);
}

#[test]
fn of_ends_that_nobody_asked_for() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let limits = json!({ "HostConfig": { "Memory": 16 << 20 } });
    let id = engine.run(&merged(sh("tail /dev/zero"), limits));
    let mut seen = listener.until("die");
    if !seen.contains(&"oom".to_owned()) {
        seen.extend(listener.until("oom"));
    }
    seen.sort();
    assert_eq!(seen, ["create", "die", "oom", "start"]);
    engine.remove(&id);
    assert_eq!(listener.until("destroy"), ["destroy"]);
    let again =
        json!({ "HostConfig": { "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 2 } } });
    let id = engine.run(&merged(sh("exit 4"), again));
    let mut seen = Vec::new();
    wait::until("three lives", || {
        seen.extend(listener.actions());
        (seen.iter().filter(|action| *action == "die").count() == 3).then_some(())
    });
    assert_eq!(seen, ["create", "start", "die", "start", "die", "start", "die"]);
    engine.remove(&id);
    let _ = listener.until("destroy");
    for (body, status) in [
        (json!({ "Image": "busybox", "Cmd": ["nosuch"] }), 404),
        (merged(sh("true"), json!({ "User": "nosuch" })), 500),
    ] {
        let id = engine.create(&body);
        let _ = engine.post(&format!("/containers/{id}/start")).expect(status);
        let seen = listener.actions();
        assert_eq!((seen[0].as_str(), seen[seen.len() - 1].as_str()), ("create", "die"), "{seen:?}");
        engine.remove(&id);
        let _ = listener.until("destroy");
    }
    assert_eq!(
        engine.post_json("/containers/create", &json!({ "Image": "nosuch", "Cmd": ["x"] })).status(),
        404
    );
    assert_eq!(listener.actions(), Vec::<String>::new());
}

#[test]
fn of_starts_that_fail() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let device = json!({ "PathOnHost": "/dev/no", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" });
    let lacks = json!({ "HostConfig": { "Devices": [device] } });
    for (body, status, acts) in [
        (json!({ "Image": "busybox", "Cmd": ["nosuch"] }), 404, &["create", "start", "die"][..]),
        (merged(sh("true"), json!({ "User": "nobodyhere" })), 500, &["create", "start", "die"]),
        (merged(sh("true"), lacks), 404, &["create", "die"]),
        (
            merged(sh("true"), json!({ "HostConfig": { "NetworkMode": "container:no" } })),
            404,
            &["create", "die"],
        ),
    ] {
        let id = engine.create(&body);
        let answer = engine.post(&format!("/containers/{id}/start"));
        assert_eq!(answer.status(), status, "{body}: {}", answer.text());
        assert_eq!(listener.actions(), acts, "{body}");
        engine.remove(&id);
        assert_eq!(listener.until("destroy"), ["destroy"]);
    }
}

#[test]
fn of_images() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let id = engine.get("/images/busybox/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    let events = |listener: &mut Listener<'_>| -> Vec<(String, String)> {
        let told = |event: &Value| {
            assert_eq!((&event["Type"], &event["from"]), (&json!("image"), &Value::Null), "{event}");
            assert_eq!(event["Action"], event["status"]);
            assert_eq!(event["Actor"]["ID"], event["id"]);
            let text = |name: &str| event[name].as_str().expect("text").to_owned();
            (text("status"), text("id"))
        };
        listener.received().iter().map(told).collect()
    };
    let pair = |action: &str, id: &str| (action.to_owned(), id.to_owned());
    let _ = engine.post("/images/busybox/tag?repo=bb2&tag=t1").expect(201);
    assert_eq!(events(&mut listener), [pair("tag", "bb2:t1")]);
    let _ = engine.post("/images/busybox/tag?repo=BAD!&tag=t1").expect(400);
    let _ = engine.get("/images/busybox/history").expect(200);
    let _ = engine.get("/images/busybox/get").expect(200);
    assert_eq!(events(&mut listener), []);
    let _ = engine.delete("/images/bb2:t1").expect(200);
    assert_eq!(events(&mut listener), [pair("untag", &id)]);
    engine.import("other", &tarball::of(&[("f", "only here")]));
    let other = engine.get("/images/other/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    let imported = events(&mut listener);
    assert_eq!((imported.len(), imported[0].0.as_str()), (1, "import"), "{imported:?}");
    assert!(imported[0].1.contains("other") || imported[0].1.contains(&other), "{imported:?}");
    let _ = engine.delete("/images/other").expect(200);
    assert_eq!(events(&mut listener), [pair("untag", &other), pair("delete", &other)]);
    // Commits are events of their containers.
    let id = engine.create(&sh("true"));
    let _ = engine.post(&format!("/commit?container={id}&repo=made")).expect(201);
    assert_eq!(listener.actions(), ["create", "commit"]);
    let _ = engine.delete("/images/made").expect(200);
}

#[test]
fn of_a_build() {
    let engine = Engine::start();
    let mut listener = Listener::new(&engine);
    let build =
        || Built::read(&engine.call("POST", "/build", &TAR, &Context::of("FROM busybox\nRUN true").bytes()));
    let image = build().image();
    assert_eq!(listener.until("destroy"), ["create", "attach", "start", "die", "commit", "destroy"]);
    assert_eq!(build().cached(), 1);
    assert_eq!(listener.actions(), Vec::<String>::new());
    let _ = engine.delete(&format!("/images/{image}")).expect(200);
}
