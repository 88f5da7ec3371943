//! How containers end, and what waits for that, as the versions after 1.20 have it.

mod asked_while_removed;
mod automatic_removal;
mod pruning;
mod signals;
mod waits;

use std::thread::JoinHandle;

use berth_tests::http::Connection;
use berth_tests::today::Today;
use berth_tests::{Client, merged, sh};
use serde_json::{Value, json};

/// A container that is removed when it ends.
fn passing(script: &str) -> Value {
    merged(sh(script), json!({ "HostConfig": { "AutoRemove": true } }))
}

/// A wait of which the head of the answer is there.
fn acknowledged(client: &Client, id: &str, condition: &str) -> Waiting {
    let (head, connection) =
        client.open("POST", &format!("/containers/{id}/wait?condition={condition}"), &[], b"");
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    Waiting { head, connection }
}

/// A wait that has begun.
struct Waiting {
    head: berth_tests::http::Head,
    connection: Connection,
}

impl Waiting {
    /// What the wait comes to.
    fn answer(mut self) -> Value {
        let body = self.connection.read_body("POST", &self.head).expect("the answer");
        serde_json::from_slice(&body).expect("JSON")
    }

    fn answer_later(self) -> JoinHandle<Value> {
        std::thread::spawn(move || self.answer())
    }
}

/// What has happened to a container, without its parts in volumes and networks.
fn actions(client: &Client, container: &str) -> Vec<String> {
    let events = client.past_events(&json!({ "container": [container], "type": ["container"] }));
    events.iter().map(|event| event["Action"].as_str().expect("an action").to_owned()).collect()
}
