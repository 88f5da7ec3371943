//! The requests of pull and push, and the messages of their streams.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use serde_json::{Value, json};

use crate::{Answer, Client, query};

/// The messages of a pull or push.
#[derive(Debug, Clone)]
pub struct Messages {
    /// The status of the answer.
    pub status: u16,
    /// The objects of the stream.
    pub objects: Vec<Value>,
    /// The error: the whole body, or the stream's last object.
    pub error: Option<String>,
}

impl Messages {
    /// Reads an answer.
    ///
    /// # Panics
    /// When a stream is no sequence of JSON objects.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        if answer.status() != 200 {
            let error = Some(answer.text().trim_end().to_owned());
            return Self { status: answer.status(), objects: Vec::new(), error };
        }
        let objects: Vec<Value> = serde_json::Deserializer::from_slice(&answer.body)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
        let error = objects.last().and_then(|last| last["error"].as_str()).map(str::to_owned);
        Self { status: 200, objects, error }
    }

    /// Goes on only when there was no error.
    ///
    /// # Panics
    /// When there was one.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.error, None, "{:?}", self.objects);
        self
    }

    /// The error.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn failure(&self) -> &str {
        self.error.as_deref().unwrap_or_else(|| panic!("no error in {:?}", self.objects))
    }

    /// Every `status`, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<&str> {
        self.objects.iter().filter_map(|object| object["status"].as_str()).collect()
    }

    /// Whether some `status` holds a text.
    #[must_use]
    pub fn say(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// The digest that a pull or push ended with.
    ///
    /// # Panics
    /// When it named none.
    #[must_use]
    pub fn digest(&self) -> String {
        let named = |line: &&str| {
            let (_, rest) = line.split_once("igest: ")?;
            Some(rest.split(' ').next()?.to_owned())
        };
        self.lines().iter().rev().find_map(named).unwrap_or_else(|| panic!("no digest in {:?}", self.objects))
    }
}

/// Pulls an image; without a tag, all of a repository.
#[must_use]
pub fn pull(client: &Client, image: &str, tag: &str, headers: &[(&str, &str)]) -> Messages {
    let path = format!("/images/create{}", query(&[("fromImage", image), ("tag", tag)]));
    Messages::of(&client.call("POST", &path, headers, b""))
}

/// Pushes a tag; without one, all of a repository. A header for credentials is sent in any case.
#[must_use]
pub fn push(client: &Client, image: &str, tag: &str, credentials: Option<&str>) -> Messages {
    let path = format!("/images/{image}/push{}", query(&[("tag", tag)]));
    let headers = [("X-Registry-Auth", credentials.unwrap_or("e30="))];
    Messages::of(&client.call("POST", &path, &headers, b""))
}

/// The value of `X-Registry-Auth` for a user.
#[must_use]
pub fn authorization(user: &str, password: &str) -> String {
    BASE64_URL_SAFE.encode(json!({ "username": user, "password": password }).to_string())
}

/// The value of `X-Registry-Config` for a user of one registry.
#[must_use]
pub fn config_header(registry: &str, user: &str, password: &str) -> String {
    BASE64_URL_SAFE.encode(json!({ registry: { "username": user, "password": password } }).to_string())
}
