//! What tests do with containers again and again.

use serde_json::{Value, json};

use crate::http::Connection;
use crate::{Client, frames};

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i64,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Client {
    /// Creates a container; gives its id.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn create(&self, body: &Value) -> String {
        let answer = self.post_json("/containers/create", body).expect(201);
        answer.json()["Id"].as_str().expect("an id").to_owned()
    }

    /// Creates a container with a name; gives its id.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn create_named(&self, name: &str, body: &Value) -> String {
        let answer = self.post_json(&format!("/containers/create?name={name}"), body).expect(201);
        answer.json()["Id"].as_str().expect("an id").to_owned()
    }

    /// Starts a container.
    ///
    /// # Panics
    /// When the engine refuses.
    pub fn start(&self, id: &str) {
        let _ = self.post(&format!("/containers/{id}/start")).expect(204);
    }

    /// Creates a container and starts it; gives its id.
    #[must_use]
    pub fn run(&self, body: &Value) -> String {
        let id = self.create(body);
        self.start(&id);
        id
    }

    /// Waits for a container's end; gives its exit code.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn wait(&self, id: &str) -> i64 {
        let answer = self.post(&format!("/containers/{id}/wait")).expect(200);
        answer.json()["StatusCode"].as_i64().expect("a code")
    }

    /// Everything a container without a terminal has logged.
    #[must_use]
    pub fn logs(&self, id: &str) -> (String, String) {
        let answer = self.get(&format!("/containers/{id}/logs?stdout=1&stderr=1")).expect(200);
        let (stdout, stderr) = frames::split(&answer.body);
        (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
    }

    /// Runs a container to its end and removes it.
    #[must_use]
    pub fn output(&self, body: &Value) -> Output {
        let id = self.run(body);
        let code = self.wait(&id);
        let (stdout, stderr) = self.logs(&id);
        self.remove(&id);
        Output { code, stdout, stderr }
    }

    /// What the engine knows of a container.
    #[must_use]
    pub fn inspect(&self, id: &str) -> Value {
        self.get(&format!("/containers/{id}/json")).expect(200).json()
    }

    /// One of the fields of `State`.
    #[must_use]
    pub fn state(&self, id: &str, field: &str) -> Value {
        self.inspect(id)["State"][field].clone()
    }

    /// The host's pid of a container's first process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self, id: &str) -> u32 {
        let pid = self.state(id, "Pid").as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.filter(|pid| *pid > 0).expect("a running container")
    }

    /// Removes a container with its volumes, running or not.
    ///
    /// # Panics
    /// When the engine refuses.
    pub fn remove(&self, id: &str) {
        let _ = self.delete(&format!("/containers/{id}?force=1&v=1")).expect(204);
    }

    /// Attaches with an upgraded connection.
    ///
    /// # Panics
    /// When the engine does not switch to the stream.
    #[must_use]
    pub fn attach(&self, id: &str, parameters: &str) -> Connection {
        let path = format!("/containers/{id}/attach?{parameters}");
        let (head, connection) =
            self.open("POST", &path, &[("Connection", "Upgrade"), ("Upgrade", "tcp")], b"");
        assert_eq!(head.status, 101, "attach: {head:?}");
        connection
    }

    /// Makes an exec; gives its id.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn exec_create(&self, container: &str, body: &Value) -> String {
        let answer = self.post_json(&format!("/containers/{container}/exec"), body).expect(201);
        answer.json()["Id"].as_str().expect("an id").to_owned()
    }

    /// Starts an exec attached, on an upgraded connection.
    ///
    /// # Panics
    /// When the engine does not switch to the stream.
    #[must_use]
    pub fn exec_start(&self, exec: &str, body: &Value) -> Connection {
        let headers = [("Content-Type", "application/json"), ("Connection", "Upgrade"), ("Upgrade", "tcp")];
        let path = format!("/exec/{exec}/start");
        let (head, connection) = self.open("POST", &path, &headers, body.to_string().as_bytes());
        assert_eq!(head.status, 101, "exec start: {head:?}");
        connection
    }

    /// Runs a command in a running container to its end.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn exec(&self, container: &str, command: &[&str]) -> Output {
        let body = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": command });
        let exec = self.exec_create(container, &body);
        let mut connection = self.exec_start(&exec, &json!({ "Detach": false, "Tty": false }));
        let bytes = connection.read_to_end().expect("the exec's stream");
        let (stdout, stderr) = frames::split(&bytes);
        let inspected = self.get(&format!("/exec/{exec}/json")).expect(200).json();
        Output {
            code: inspected["ExitCode"].as_i64().expect("a code"),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}
