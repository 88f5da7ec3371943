//! What contexts are fetched with.

use images::registry::Cancellation;

use crate::event::EventSink;
use crate::request::Provisions;
use crate::scratch::Scratch;

/// What contexts are fetched with.
#[derive(Clone, Copy)]
pub(crate) struct Fetching<'a> {
    pub(crate) scratch: &'a Scratch,
    pub(crate) events: &'a dyn EventSink,
    pub(crate) cancellation: &'a Cancellation,
    /// Gives the client's secrets for repositories, where it has any.
    pub(crate) provisions: Option<&'a dyn Provisions>,
    /// Whether the `.git` of repositories is a part of contexts.
    pub(crate) keeps_git: bool,
}
