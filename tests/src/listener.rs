//! A listener to an engine's events that can determine when it has received all of them.

use serde_json::{Value, json};

use crate::http::Connection;
use crate::{Engine, sh, wait};

/// Reads a listener's events up to a marker that the test itself brings about.
#[derive(Debug)]
pub struct Listener<'a> {
    engine: &'a Engine,
    stream: Connection,
    text: String,
    marker: String,
}

impl<'a> Listener<'a> {
    /// Begins to listen.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn new(engine: &'a Engine) -> Self {
        let (head, stream) = engine.open("GET", "/events", &[], b"");
        assert_eq!(head.status, 200);
        let marker = engine.create_named("marker", &sh("true"));
        let mut listener = Self { engine, stream, text: String::new(), marker };
        let _ = listener.line();
        listener
    }

    fn line(&mut self) -> Value {
        while !self.text.contains('\n') {
            let chunk = self.stream.read_chunk().expect("an event").expect("no early end");
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
        let (line, rest) = self.text.split_once('\n').expect("a line");
        let event = serde_json::from_str(line).expect("JSON");
        self.text = rest.to_owned();
        event
    }

    /// What has been received since the last time.
    ///
    /// # Panics
    /// When the stream ends or is no JSON.
    pub fn received(&mut self) -> Vec<Value> {
        let path = format!("/containers/{}/copy", self.marker);
        let _ = self.engine.post_json(&path, &json!({ "Resource": "/etc/passwd" })).expect(200);
        let mut events = Vec::new();
        loop {
            let event = self.line();
            if event["status"] == "copy" && event["id"] == self.marker.as_str() {
                return events;
            }
            events.push(event);
        }
    }

    /// The actions that have been received since the last time.
    ///
    /// # Panics
    /// When an event has none.
    pub fn actions(&mut self) -> Vec<String> {
        self.received().iter().map(|event| event["status"].as_str().expect("a status").to_owned()).collect()
    }

    /// Waits until something is over that goes on by itself; gives the actions meanwhile.
    pub fn until(&mut self, action: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        wait::until(action, || {
            seen.extend(self.actions());
            seen.iter().any(|known| known == action).then_some(())
        });
        seen
    }
}
