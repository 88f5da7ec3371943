//! What an error calls a container: the name, the id or the start of an id that the client used.

use berth_tests::{Engine, merged, query, sh, tarball, volumes};
use serde_json::json;

#[test]
fn a_container_is_called_in_an_error_what_the_client_called_it() {
    let engine = Engine::start();
    let stopped = engine.create_named("stopped", &sh("true"));
    let running = engine.create_named("running", &sh("sleep 600"));
    engine.start(&running);
    for (reference, id) in [("stopped", &*stopped), (&stopped[..12], &stopped), (&stopped, &stopped)] {
        for act in ["kill", "pause", "unpause"] {
            let answer = engine.post(&format!("/containers/{reference}/{act}")).expect(500);
            let wanted = format!("Cannot {act} container {reference}: Container {id} is not running\n");
            assert_eq!(answer.text(), wanted);
        }
        let answer = engine.get(&format!("/containers/{reference}/top")).expect(500);
        assert_eq!(answer.text(), format!("Container {reference} is not running\n"));
        let exec = json!({ "Cmd": ["true"] });
        let answer = engine.post_json(&format!("/containers/{reference}/exec"), &exec).expect(500);
        assert_eq!(answer.text(), format!("Container {reference} is not running\n"));
    }
    for reference in ["running", &running[..12]] {
        let answer = engine.delete(&format!("/containers/{reference}")).expect(409);
        let wanted = format!("Cannot destroy container {reference}: Conflict, You cannot remove a running");
        assert!(answer.text().starts_with(&wanted), "{}", answer.text());
    }
    let _ = engine.post("/containers/running/pause").expect(204);
    let answer = engine.post_json("/containers/running/exec", &json!({ "Cmd": ["true"] })).expect(500);
    assert_eq!(answer.text(), "Container running is paused, unpause the container before exec\n");
}

#[test]
fn paths_and_containers_are_called_what_the_client_called_them() {
    let engine = Engine::start();
    let binds = json!({ "HostConfig": { "ReadonlyRootfs": true, "Binds": ["/:/host:ro", "kept:/kept"] } });
    let id = engine.create_named("locked", &merged(sh("sleep 600"), binds));
    let archive = tarball::of(&[("f", "x")]);
    let put = |reference: &str, path: &str| {
        let path = format!("/containers/{reference}/archive{}", query(&[("path", path)]));
        let answer = engine.call("PUT", &path, &tarball::TAR, &archive);
        (answer.status(), answer.text())
    };
    for state in ["created", "running"] {
        for reference in ["locked", &id[..12], &id] {
            for (path, words) in [
                ("/etc", "container rootfs is marked read-only\n"),
                ("/", "container rootfs is marked read-only\n"),
                ("/host", "mounted volume is marked read-only\n"),
                ("/host/etc", "mounted volume is marked read-only\n"),
            ] {
                assert_eq!(put(reference, path), (403, words.to_owned()), "{state}: {path}");
            }
            assert_eq!(put(reference, "/kept").0, 200, "{state}");
            let (status, words) = put(reference, "/no/such");
            assert_eq!((status, &*words), (404, "lstat /no/such: no such file or directory\n"), "{state}");
            let copy = format!("/containers/{reference}/copy");
            let answer = engine.post_json(&copy, &json!({ "Resource": "/no/such" })).expect(500);
            let words = format!("Could not find the file /no/such in container {reference}\n");
            assert_eq!(answer.text(), words, "{state}");
        }
        if state == "created" {
            engine.start(&id);
        }
    }
    for reference in ["nobody", "nobody/else", &"f".repeat(64), &"f".repeat(12)] {
        let words = format!("no such id: {reference}\n");
        assert_eq!(put(reference, "/"), (404, words.clone()));
        for path in ["archive?path=/", "json", "logs?stdout=1", "top", "changes", "export", "stats"] {
            let answer = engine.get(&format!("/containers/{reference}/{path}")).expect(404);
            assert_eq!(answer.text(), words, "{path}");
        }
        for act in ["start", "stop", "kill", "restart", "pause", "unpause", "wait", "rename?name=x", "attach"]
        {
            let answer = engine.post(&format!("/containers/{reference}/{act}")).expect(404);
            // Some put the act before it: "Cannot kill container nobody: no such id: nobody".
            assert!(answer.text().ends_with(&words), "{act}: {}", answer.text());
        }
        let copy = engine.post_json(&format!("/containers/{reference}/copy"), &json!({ "Resource": "/" }));
        assert_eq!((copy.status(), copy.text()), (404, words));
    }
    engine.remove(&id);
    volumes::forget(&engine, "kept");
}

#[test]
fn a_start_that_fails_calls_the_container_what_the_client_called_it() {
    let engine = Engine::start();
    let id = engine.create_named("broken", &json!({ "Image": "busybox", "Cmd": ["nosuch"] }));
    let cause = "[8] System error: exec: \"nosuch\": executable file not found in $PATH";
    for reference in ["broken", &id[..12]] {
        for act in ["start", "restart"] {
            let answer = engine.post(&format!("/containers/{reference}/{act}")).expect(404);
            assert_eq!(answer.text(), format!("Cannot {act} container {reference}: {cause}\n"));
        }
    }
    assert_eq!(engine.state(&id, "Error"), cause);
}
