//! Writes the database's log out and moves it into the database's own file, on a connection of its own, so that changes of
//! the store do not wait for that. The connection lives no longer than that takes, for each holds some 200 KB of memory.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::write_out;
use crate::Error;

/// The log is moved when it is longer.
const LONG: u64 = 1 << 20;

/// The log of a database. SQLite records how much of it was moved already: it keeps its space.
pub(super) struct Checkpoint {
    database: PathBuf,
    log: PathBuf,
}

impl Checkpoint {
    pub(super) fn of(database: &Path) -> Self {
        Self { database: database.to_owned(), log: database.with_extension("db-wal") }
    }

    fn connect(&self) -> Result<Connection, Error> {
        let failed = || Error::database("open the store");
        let connection = Connection::open(&self.database).map_err(failed())?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed())?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -64;").map_err(failed())?;
        Ok(connection)
    }

    /// Makes every commit until now survive a loss of power.
    pub(super) fn write_out(&self) -> Result<(), Error> {
        // SQLite locks the database and its index in shared memory, never the log: another descriptor may be closed.
        write_out::file(&self.log).map_err(Error::file("write to disk", &self.log))?;
        let connection = self.connect()?;
        let failed = || Error::database("move the log into the store");
        let pages: i64 =
            connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).map_err(failed())?;
        if u64::try_from(pages).unwrap_or_default() * PAGE > LONG {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(failed())?;
        }
        Ok(())
    }
}

/// The bytes of a page of the database.
const PAGE: u64 = 4096;
