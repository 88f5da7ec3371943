//! A client's session parameters: fields of the request that opens it, or metadata of the call that does.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName};

const ID: HeaderName = HeaderName::from_static("x-docker-expose-session-uuid");
const SHARED_KEY: HeaderName = HeaderName::from_static("x-docker-expose-session-sharedkey");
const METHOD: HeaderName = HeaderName::from_static("x-docker-expose-session-grpc-method");
/// A client serves some twenty methods.
const METHOD_LIMIT: usize = 256;
/// Longer ids are no client's.
const ID_LIMIT: usize = 256;

/// A session's id, the key under which what it sends is kept, and the methods that it serves.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) id: String,
    /// Identifies the client; empty if unset.
    pub(crate) shared_key: String,
    /// In lower case: clients differ in how they spell them.
    methods: HashSet<String>,
}

impl Fields {
    /// Reads them; `None` where the session has no id.
    pub(crate) fn read(fields: &HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| {
            fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let id = text(&ID);
        if id.is_empty() || id.len() > ID_LIMIT {
            return None;
        }
        let methods = fields.get_all(&METHOD).into_iter().take(METHOD_LIMIT);
        let methods = methods.filter_map(|value| value.to_str().ok()).map(str::to_ascii_lowercase).collect();
        Some(Self { id, shared_key: text(&SHARED_KEY), methods })
    }

    /// Whether the client serves a method.
    pub(crate) fn serves(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_session_needs_an_id() {
        let mut fields = HeaderMap::new();
        assert!(Fields::read(&fields).is_none());
        fields.insert(ID, HeaderValue::from_static("s1"));
        fields.append(METHOD, HeaderValue::from_static("/moby.filesync.v1.FileSync/DiffCopy"));
        fields.append(METHOD, HeaderValue::from_static("/grpc.health.v1.Health/Check"));
        let read = Fields::read(&fields).expect("a session");
        assert!(read.serves("/moby.filesync.v1.filesync/diffcopy") && !read.serves("/a/b"));
        fields.insert(ID, HeaderValue::from_str(&"x".repeat(257)).expect("a value"));
        assert!(Fields::read(&fields).is_none());
    }
}
