//! A client's verdict on the sources of its build before they are used.

use std::collections::HashMap;

use images::registry::Platform;

use crate::runner::StepError;

/// A source that is about to be used, as clients of BuildKit's protocol name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JudgedSource {
    /// Such as `docker-image://docker.io/library/busybox:latest`, `local://context`, `https://…` and `git://…`.
    pub identifier: String,
    /// Further attributes that identify it.
    pub attributes: HashMap<String, String>,
    /// Its platform; that of this machine by default.
    pub platform: Option<Platform>,
    /// An image that has been looked up.
    pub image: Option<JudgedImage>,
}

/// An image, as far as a client judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedImage {
    /// Its digest in its registry, or its id.
    pub digest: String,
    /// Its configuration, a JSON document.
    pub config: Vec<u8>,
}

/// A client's verdict on a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is used.
    Allowed,
    /// Another one takes its place, by its identifier.
    Replaced(String),
    /// The image has to be looked up first.
    NeedsImage,
}

/// Judges sources.
pub trait SourcePolicy: Send + Sync {
    /// Judges a source. May block.
    ///
    /// # Errors
    /// [`StepError`] for one that is denied, or for a verdict that requires unknown properties of it.
    fn judge(&self, source: &JudgedSource) -> Result<Verdict, StepError>;
}
