//! The parameters of fetching contexts.

use images::registry::Cancellation;

use crate::event::EventSink;
use crate::request::Provisions;
use crate::scratch::Scratch;

/// The parameters of fetching contexts.
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
