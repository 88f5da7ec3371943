//! Requests for a container while another client removes it: they come before the removal, or find no container.

use super::*;

const ROUNDS: usize = 40;

/// Sends a request while the container is removed; returns its status.
fn beside_a_removal<T: Send>(client: &Client, id: &str, ask: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let asked = scope.spawn(ask);
        let _ = client.delete(&format!("/containers/{id}?force=1")).expect(204);
        asked.join().expect("an answer")
    })
}

#[test]
fn a_name_that_it_was_given_is_free_again() {
    let engine = Today::start();
    for round in 0..ROUNDS {
        let id = engine.create_named("one", &sh("true"));
        let path = format!("/containers/{id}/rename?name=other");
        let renamed = beside_a_removal(&engine, &id, || engine.post(&path).status());
        assert!([204, 404].contains(&renamed), "round {round}: {renamed}");
        for name in ["one", "other"] {
            let next = engine.create_named(name, &sh("true"));
            engine.remove(&next);
        }
    }
}

#[test]
fn an_attachment_ends() {
    let engine = Today::start();
    for _ in 0..ROUNDS {
        let id = engine.create(&sh("true"));
        let attached = beside_a_removal(&engine, &id, || {
            let mut connection = engine.connect();
            let path = format!("/v1.44/containers/{id}/attach?stream=1&stdout=1");
            connection.request("POST", &path, &[], b"").expect("a request");
            let head = connection.read_head().expect("a head");
            if head.status == 404 { Ok(Vec::new()) } else { connection.read_to_end() }
        });
        let _ = attached.expect("the stream's end");
    }
}

#[test]
fn no_network_takes_it() {
    let engine = Today::start();
    let _ = engine.post_json("/networks/create", &json!({ "Name": "own" })).expect(201);
    for round in 0..ROUNDS {
        let id = engine.create(&sh("true"));
        let body = json!({ "Container": id });
        let connected =
            beside_a_removal(&engine, &id, || engine.post_json("/networks/own/connect", &body).status());
        assert!([200, 404].contains(&connected), "round {round}: {connected}");
    }
    let _ = engine.delete("/networks/own").expect(204);
}
