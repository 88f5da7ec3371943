//! A response whose body is complete when it begins.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// Status, fields and the whole body.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Fields besides those of every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, whole.
    pub body: Bytes,
}

impl Response {
    /// An answer without a body.
    pub const fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        Self { status, headers: vec![(header::CONTENT_TYPE, plain)], body: text.into() }
    }

    /// A JSON value and a newline.
    ///
    /// # Panics
    /// Never: the wire types have string keys only, the one thing that serde_json refuses.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let mut body = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        body.push(b'\n');
        let json = HeaderValue::from_static("application/json");
        Self { status, headers: vec![(header::CONTENT_TYPE, json)], body: body.into() }
    }

    /// The same with one more field; a value that no header can carry is left out.
    pub fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }
}
