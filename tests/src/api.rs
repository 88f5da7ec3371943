//! Requests and answers of the API, one connection each.

use std::io;

use serde_json::Value;

use crate::Address;
use crate::http::{Connection, Head};

/// Makes requests of one engine at one version of the API.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the engine listens.
    pub address: Address,
    /// What every path begins with: `/v1.20`, or nothing.
    pub prefix: String,
}

/// An answer that has been read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, not JSON ({error}): {}", self.status(), self.text()))
    }

    /// Why the stream of JSON that answers the request failed, in its last object.
    ///
    /// # Panics
    /// When there is no stream, or it did not fail.
    #[must_use]
    pub fn stream_failure(&self) -> String {
        assert_eq!(self.status(), 200, "{}", self.text());
        let text = self.text();
        let last = text.lines().last().expect("an object");
        let last: Value = serde_json::from_str(last).expect("JSON");
        assert_eq!(last["error"], last["errorDetail"]["message"], "{text}");
        last["error"].as_str().unwrap_or_else(|| panic!("no failure: {text}")).to_owned()
    }

    /// The text of an error, in the form of versions since 1.24.
    ///
    /// # Panics
    /// When the body has another form.
    #[must_use]
    pub fn message(&self) -> String {
        assert_eq!(self.head.header("content-type"), Some("application/json"), "{}", self.text());
        self.json()["message"].as_str().expect("a message").to_owned()
    }

    /// Goes on only with this status.
    ///
    /// # Panics
    /// With the body's text when it is another.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "unexpected status; the body: {}", self.text());
        self
    }
}

impl Client {
    /// The same engine at another version, such as `1.44`; empty for paths without one.
    #[must_use]
    pub fn at(&self, version: &str) -> Self {
        let prefix = if version.is_empty() { String::new() } else { format!("/v{version}") };
        Self { address: self.address.clone(), prefix }
    }

    /// Speaks version 1.20 with the engine at an address.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, prefix: "/v1.20".to_owned() }
    }

    /// Opens a connection and sends nothing.
    ///
    /// # Panics
    /// When the engine does not listen.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(&self.address)
            .unwrap_or_else(|error| panic!("cannot connect to {:?}: {error}", self.address))
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn attempt(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut connection = Connection::open(&self.address)?;
        connection.request(method, &format!("{}{path}", self.prefix), headers, body)?;
        let head = connection.read_head()?;
        let body = connection.read_body(method, &head)?;
        Ok(Answer { head, body })
    }

    /// Sends a request with headers and a body of any kind.
    ///
    /// # Panics
    /// When the connection breaks.
    #[must_use]
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.attempt(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: the connection broke: {error}"))
    }

    /// `GET`.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    /// `POST` without a body.
    #[must_use]
    pub fn post(&self, path: &str) -> Answer {
        self.call("POST", path, &[], b"")
    }

    /// `POST` with a JSON body.
    #[must_use]
    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], b"")
    }

    /// Sends a request and reads the head only; the body stays on the connection.
    ///
    /// # Panics
    /// When the connection breaks.
    #[must_use]
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Head, Connection) {
        let mut connection = self.connect();
        connection
            .request(method, &format!("{}{path}", self.prefix), headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: cannot send: {error}"));
        let head =
            connection.read_head().unwrap_or_else(|error| panic!("{method} {path}: no answer: {error}"));
        (head, connection)
    }
}

/// Writes `?key=value&…`, every byte but letters, digits and `-._~` escaped.
#[must_use]
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// The body of a create request that runs a shell script in the tests' image.
#[must_use]
pub fn sh(script: &str) -> Value {
    serde_json::json!({ "Image": "busybox", "Cmd": ["sh", "-c", script] })
}

/// Puts the fields of one object over those of another, objects within them likewise.
#[must_use]
pub fn merged(mut base: Value, over: Value) -> Value {
    match (&mut base, over) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                let present = fields.remove(&key);
                let value = match present {
                    Some(old @ Value::Object(_)) if value.is_object() => merged(old, value),
                    _ => value,
                };
                fields.insert(key, value);
            }
            base
        }
        (_, over) => over,
    }
}
