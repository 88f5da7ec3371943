//! A statement about one result of a build, in the form of the records of builds.

use bytes::Bytes;
use engine::images::registry::Platform;
use engine::images::{Predicate, digest_of};

use buildkit_messages::history::Descriptor;

/// The predicate type for clients.
const STATEMENT: &str = "application/vnd.in-toto+json";
const PREDICATE: &str = "in-toto.io/predicate-type";

/// A statement about one result of a build.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) platform: String,
    pub(crate) descriptor: Descriptor,
    pub(crate) document: Bytes,
}

impl Statement {
    pub(crate) fn new(platform: &Platform, predicate: &Predicate) -> Self {
        let document = Bytes::from(predicate.content.to_string());
        let descriptor = Descriptor {
            media_type: STATEMENT.to_owned(),
            digest: digest_of(&document).to_string(),
            size: i64::try_from(document.len()).unwrap_or(i64::MAX),
            annotations: [(PREDICATE.to_owned(), predicate.kind.clone())].into(),
        };
        Self { platform: platform.to_string(), descriptor, document }
    }
}
