//! A context that is there.

use super::{Context, Origin};
use crate::event::MaterialContent;

/// A context that is there.
pub(super) struct Fetched {
    pub(super) context: Context,
    pub(super) origin: Origin,
    /// Which content its address had; none for what the client sent, and for an archive whose stream did not end.
    pub(super) content: Option<MaterialContent>,
}
