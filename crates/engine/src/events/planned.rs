//! An event that is saved in one transaction with the change it is about, before it is published.

use model::Event;

use crate::store::Row;

/// An event with its number, not yet published.
#[derive(Debug)]
pub(crate) struct Planned {
    /// `None` where events are not saved.
    pub(super) number: Option<u64>,
    pub(super) event: Event,
}

impl Planned {
    /// Its row, where events are saved.
    pub(crate) fn row(&self) -> Option<Row> {
        self.number.map(|number| Row::Event { number, event: self.event.clone() })
    }
}
