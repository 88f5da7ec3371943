//! An event that is saved in one step with what it is about, before anybody is told.

use model::Event;

use crate::store::Row;

/// An event with its number, which nobody knows yet.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(super) number: u64,
    pub(super) event: Event,
}

impl Planned {
    /// What is written of it.
    pub(crate) fn row(&self) -> Row {
        Row::Event { number: self.number, event: self.event.clone() }
    }
}
