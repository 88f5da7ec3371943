//! Errors between berth and systemd.

use std::path::PathBuf;
use std::time::Duration;

/// Why a unit of systemd is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A host whose cgroups are of version 1, in part or as a whole.
    #[error("{} is not the root of cgroups of version 2: systemd's scopes need it", path.display())]
    NotUnified {
        /// Where cgroups are mounted.
        path: PathBuf,
    },
    /// No bus.
    #[error("cannot connect to the bus of systemd")]
    Bus(#[source] Box<zbus::Error>),
    /// A call that systemd refuses.
    #[error("cannot {act} the unit {unit}")]
    Unit {
        /// The verb.
        act: &'static str,
        /// The unit's name.
        unit: String,
        /// Its error.
        source: Box<zbus::Error>,
    },
    /// A job that did not come to its end.
    #[error("cannot {act} the unit {unit}: systemd's job ended with {result:?}")]
    Job {
        /// The verb.
        act: &'static str,
        /// The unit's name.
        unit: String,
        /// systemd's word for the end: `failed`, `canceled`, `timeout`, `dependency`, `skipped`.
        result: String,
    },
    /// No answer, or no end of a job, within the time limit.
    #[error("cannot {act} the unit {unit}: systemd has not answered within {timeout:?}")]
    Timeout {
        /// The verb.
        act: &'static str,
        /// The unit's name.
        unit: String,
        /// The limit.
        timeout: Duration,
    },
    /// A text that names no slice.
    #[error("{0:?} is not the name of a slice of systemd, such as kubepods-burstable.slice")]
    NotASlice(String),
}
