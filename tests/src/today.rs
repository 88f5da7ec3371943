//! An engine at a current version.

use std::ops::Deref;

use crate::{Client, Engine};

/// An engine, and the version of current clients.
#[derive(Debug)]
pub struct Today {
    /// The engine, at 1.20.
    pub daemon: Engine,
    client: Client,
}

impl Deref for Today {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Removes what a test made: the engine's own end knows containers alone.
impl Drop for Today {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let containers = self.client.get("/containers/json?all=1").expect(200).json();
        for container in containers.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().expect("an id");
            let _ = self.client.delete(&format!("/containers/{id}?force=1")).expect(204);
        }
        // What others take over goes after them.
        for _ in 0..2 {
            let _ = self.client.post("/networks/prune").expect(200);
        }
        let _ = self.client.post(&format!("/volumes/prune{ALL}")).expect(200);
    }
}

/// The query of a prune that means all volumes.
const ALL: &str = "?filters=%7B%22all%22%3A%5B%221%22%5D%7D";

impl Today {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further flags.
    #[must_use]
    pub fn start_with(flags: &[&str]) -> Self {
        Self::of(Engine::start_with_flags(flags))
    }

    /// An engine that serves the newest version.
    #[must_use]
    pub fn of(daemon: Engine) -> Self {
        let client = daemon.at("1.55");
        Self { daemon, client }
    }
}
