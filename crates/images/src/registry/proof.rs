//! The authentication of a request: its scope, its credentials, and the reason of a refusal.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::auth::Credentials;
use super::loose;
use super::transport::Answer;

/// How much of an error's explanation is read.
const EXPLANATION_LIMIT: u64 = 64 << 10;

/// The required permissions of a request, in the words of the token services.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope(pub(super) Vec<String>);

impl Scope {
    pub(super) fn pull(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull")])
    }

    pub(super) fn push(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull,push")])
    }

    /// Allows reading another repository too, to mount its blobs.
    pub(super) fn with_source(mut self, path: &str) -> Self {
        self.0.push(format!("repository:{path}:pull"));
        self
    }
}

/// The header of Basic authentication, when there is a user.
pub(super) fn basic(credentials: &Credentials) -> Option<String> {
    if credentials.username.is_empty() {
        return None;
    }
    let pair = format!("{}:{}", credentials.username, credentials.password);
    Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireErrors {
    #[serde(deserialize_with = "loose::list")]
    errors: Vec<WireError>,
    #[serde(deserialize_with = "loose::text")]
    details: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireError {
    #[serde(deserialize_with = "loose::text")]
    code: String,
    #[serde(deserialize_with = "loose::text")]
    message: String,
}

/// The registry's own explanation of a refusal: `code: message`, the code in small letters.
pub(super) fn explanation(answer: Answer) -> String {
    let bytes = answer.read_up_to(EXPLANATION_LIMIT).unwrap_or_default();
    let wire: WireErrors = serde_json::from_slice(&bytes).unwrap_or_default();
    if !wire.details.is_empty() {
        return wire.details;
    }
    let texts: Vec<_> = wire
        .errors
        .iter()
        .map(|error| {
            let code = error.code.to_lowercase().replace('_', " ");
            if error.message.is_empty() { code } else { format!("{code}: {}", error.message) }
        })
        .collect();
    texts.join(", ")
}
