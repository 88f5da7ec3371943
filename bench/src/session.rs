//! A client that keeps its connection, as the engines' own clients do.

use std::sync::OnceLock;

use anyhow::{Context, bail};
use berth_tests::http::Connection;
use berth_tests::{Address, Answer};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;

/// Lets this process have so many descriptors open.
pub(crate) fn allow_descriptors(count: u64) -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        limit.current = Some(limit.maximum.map_or(count, |maximum| count.min(maximum)));
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

/// The default version of the API for measurements.
static API: OnceLock<String> = OnceLock::new();

/// Speaks this version of the API from now on; called once.
pub(crate) fn speak(version: String) {
    let _ = API.set(version);
}

/// The version that is spoken.
pub(crate) fn api() -> &'static str {
    API.get().map_or("1.20", String::as_str)
}

/// One kept connection.
#[derive(Debug)]
pub(crate) struct Session {
    address: Address,
    connection: Option<Connection>,
}

impl Session {
    /// Connects at the first request.
    pub(crate) const fn new(address: Address) -> Self {
        Self { address, connection: None }
    }

    /// Makes a request; an answer with an error's status is a failure.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.ask_at(api(), method, path, body)
    }

    /// Makes a request at a version of the API.
    pub(crate) fn ask_at(
        &mut self,
        version: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address)?,
        };
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let headers: &[(&str, &str)] =
            if body.is_some() { &[("Content-Type", "application/json")] } else { &[] };
        connection.request(method, &format!("/v{version}{path}"), headers, &bytes)?;
        let head = connection.read_head().with_context(|| format!("{method} {path}: no answer"))?;
        let body = connection.read_body(method, &head)?;
        let closes = head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closes {
            self.connection = Some(connection);
        }
        let answer = Answer { head, body };
        if answer.status() >= 400 {
            bail!("{method} {path}: {} {}", answer.status(), answer.text().trim());
        }
        Ok(answer)
    }

    /// Creates a container; gives its id.
    pub(crate) fn create(&mut self, body: &Value) -> anyhow::Result<String> {
        let answer = self.ask("POST", "/containers/create", Some(body))?;
        Ok(answer.json()["Id"].as_str().context("no id in the answer")?.to_owned())
    }

    /// Starts a container.
    pub(crate) fn start(&mut self, id: &str) -> anyhow::Result<()> {
        self.ask("POST", &format!("/containers/{id}/start"), None).map(drop)
    }

    /// Waits for a container's end.
    pub(crate) fn wait(&mut self, id: &str) -> anyhow::Result<()> {
        self.ask("POST", &format!("/containers/{id}/wait"), None).map(drop)
    }

    /// Removes a container, running or not.
    pub(crate) fn remove(&mut self, id: &str) -> anyhow::Result<()> {
        self.ask("DELETE", &format!("/containers/{id}?force=1&v=1"), None).map(drop)
    }
}
