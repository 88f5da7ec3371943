//! What an error calls a container: the name, the id or the start of an id that the client used.

use berth_tests::{Engine, sh};
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
