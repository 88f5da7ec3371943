//! What clients do while daemons and shims are killed: containers of every kind, used in every way. Any of
//! their requests may fail; what an answer has promised must hold.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use berth_tests::tarball::{self, TAR};
use berth_tests::{Client, merged, sh};
use serde_json::{Value, json};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Ids that an answer 201 named and no delete has been sent for.
pub(crate) type Promised = Mutex<BTreeSet<String>>;

/// One client.
pub(crate) struct Worker<'t> {
    client: &'t Client,
    promised: &'t Promised,
    /// Unlike those of other workers: each has a port of the host of its own.
    number: usize,
}

impl<'t> Worker<'t> {
    /// A client that is not like the others.
    pub(crate) const fn new(client: &'t Client, promised: &'t Promised, number: usize) -> Self {
        Self { client, promised, number }
    }

    /// Makes, starts, uses and removes containers until it is stopped.
    pub(crate) fn work(&self, stop: &AtomicBool) {
        let mut last = String::new();
        let mut turn = 0;
        while !stop.load(Ordering::Relaxed) {
            turn += 1;
            let Some(id) = self.create(&self.body(turn, &last)) else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            self.post(&format!("/containers/{id}/start"));
            self.exec(&id);
            self.move_between_networks(turn, &id);
            self.act(turn, &id);
            if turn % 5 != 0 {
                self.promised.lock().expect("the promises").remove(&id);
                let _ = self.client.attempt("DELETE", &format!("/containers/{id}?force=1&v=1"), &[], b"");
            } else {
                last = id;
            }
        }
    }

    /// Containers of every kind, one after the other. One is linked to the last that stayed.
    fn body(&self, turn: usize, last: &str) -> Value {
        let port = (19_000 + self.number).to_string();
        let serves = "httpd -f -p 80 -h /etc";
        match turn % 10 {
            0 => sh("echo a; exit 3"),
            1 => sh("sleep 600"),
            2 => sh("seq 1 500"),
            3 => merged(sh("read x"), json!({ "OpenStdin": true })),
            4 => merged(
                sh(serves),
                json!({ "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/v": {} },
                        "HostConfig": { "PublishAllPorts": true, "Binds": ["/var/tmp:/host"] } }),
            ),
            5 => merged(
                sh(serves),
                json!({ "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "HostConfig": { "PortBindings": {
                        "80/tcp": [{ "HostPort": port }], "53/udp": [{ "HostPort": port }] } } }),
            ),
            6 => merged(
                sh("sleep 0.05; exit 1"),
                json!({ "HostConfig": { "RestartPolicy": { "Name": "always" }, "PublishAllPorts": true },
                        "ExposedPorts": { "80/tcp": {} } }),
            ),
            7 if !last.is_empty() => merged(
                sh("sleep 600"),
                json!({ "HostConfig": { "Links": [format!("{last}:other")], "VolumesFrom": [last] } }),
            ),
            7 => sh("sleep 600"),
            8 => merged(
                sh(serves),
                json!({ "ExposedPorts": { "80/tcp": {} },
                        "HostConfig": { "PublishAllPorts": true, "NetworkMode": self.network(turn) } }),
            ),
            _ => merged(
                sh("exit 1"),
                json!({ "HostConfig": {
                    "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 2 } } }),
            ),
        }
    }

    /// One of the networks of this client, which comes and goes.
    fn network(&self, turn: usize) -> String {
        format!("worker{}-{}", self.number, turn % 2)
    }

    /// Makes networks, takes the container into them and out of them, and removes them.
    fn move_between_networks(&self, turn: usize, id: &str) {
        let client = self.client.at("1.55");
        let post = |path: &str, body: &Value| {
            let _ = client.attempt("POST", path, &JSON, body.to_string().as_bytes());
        };
        let (one, other) = (self.network(turn), self.network(turn + 1));
        for name in [&one, &other] {
            post("/networks/create", &json!({ "Name": name, "EnableIPv6": turn.is_multiple_of(3) }));
        }
        let container = json!({ "Container": id });
        post(&format!("/networks/{one}/connect"), &container);
        post(&format!("/networks/{other}/connect"), &container);
        match turn % 4 {
            0 => post(&format!("/networks/{one}/disconnect"), &container),
            1 => post("/networks/bridge/disconnect", &container),
            2 => {
                let _ = client.attempt("DELETE", &format!("/networks/{other}"), &[], b"");
            }
            _ => {}
        }
        if turn.is_multiple_of(5) {
            post("/networks/prune", &json!({}));
        }
    }

    fn create(&self, body: &Value) -> Option<String> {
        let body = body.to_string();
        let answer = self.client.attempt("POST", "/containers/create", &JSON, body.as_bytes()).ok()?;
        let id = (answer.status() == 201).then(|| answer.json()["Id"].as_str().expect("an id").to_owned())?;
        self.promised.lock().expect("the promises").insert(id.clone());
        Some(id)
    }

    fn exec(&self, id: &str) {
        let path = format!("/containers/{id}/exec");
        let made = self.client.attempt("POST", &path, &JSON, b"{\"Cmd\":[\"sleep\",\"600\"]}");
        if let Some(exec) = made.ok().filter(|answer| answer.status() == 201) {
            let path = format!("/exec/{}/start", exec.json()["Id"].as_str().expect("an id"));
            let _ = self.client.attempt("POST", &path, &JSON, b"{\"Detach\":true}");
        }
    }

    /// Something that a container goes through: another thing at each turn, and with every kind in time.
    fn act(&self, turn: usize, id: &str) {
        let path = |verb: &str| format!("/containers/{id}/{verb}");
        match turn % 7 {
            0 => self.post(&path("pause")),
            1 => {
                self.post(&path("pause"));
                self.post(&path("unpause"));
            }
            2 => {
                let archive = tarball::of(&[("copied", &"x".repeat(100_000))]);
                let _ = self.client.attempt("PUT", &path("archive?path=/tmp"), &TAR, &archive);
                let _ = self.client.attempt("GET", &path("archive?path=/etc"), &[], b"");
            }
            3 => self.post(&path("restart?t=0")),
            4 => self.post(&path("stop?t=0")),
            5 => {
                self.post(&path(&format!("rename?name=worker{}-{turn}", self.number)));
                self.post(&path("kill"));
            }
            _ => {}
        }
    }

    fn post(&self, path: &str) {
        let _ = self.client.attempt("POST", path, &[], b"");
    }
}
