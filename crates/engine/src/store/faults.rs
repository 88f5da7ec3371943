//! Faults of the database that tests inject.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::ffi;

/// How often a stalled disk checks whether to continue.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// When writes fail or stall.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Never.
    #[default]
    None,
    /// The change with this number, counted from 1, fails once.
    FailAt(u64),
    /// Every write fails while this file exists, as on a full disk.
    FailWhile(PathBuf),
    /// Every commit that must survive a loss of power stalls while this file exists.
    StallWhile(PathBuf),
}

impl Faults {
    /// Reads `database-fails-at:N`, `database-fails-while:PATH` or `database-stalls-while:PATH`.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("database-fails-at", number)) => number.parse().map_or(Self::None, Self::FailAt),
            Some(("database-fails-while", path)) => Self::FailWhile(path.into()),
            Some(("database-stalls-while", path)) => Self::StallWhile(path.into()),
            _ => Self::None,
        }
    }

    /// Fails where the change with this number has to.
    pub(super) fn check(&self, number: u64) -> rusqlite::Result<()> {
        let fails = match self {
            Self::FailAt(wanted) => *wanted == number,
            Self::FailWhile(path) => path.exists(),
            Self::None | Self::StallWhile(_) => false,
        };
        if fails {
            let full = ffi::Error::new(ffi::SQLITE_FULL);
            return Err(rusqlite::Error::SqliteFailure(full, Some("fault injected".to_owned())));
        }
        Ok(())
    }

    /// Stalls where the disk has to.
    pub(super) fn stall(&self) {
        if let Self::StallWhile(path) = self {
            while path.exists() {
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }
}
