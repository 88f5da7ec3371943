//! Opens the database and migrates its tables to the current version.

use std::path::Path;

use rusqlite::Connection;

use super::migrate;
use crate::error::{Error, database_error};

/// The number of these tables, in `PRAGMA user_version`.
const VERSION: u32 = 3;

/// Space for changes that are not yet in the database's own file: the write-ahead log grows to 1,000 pages of
/// 4 KiB (sqlite.org/wal.html) before it is checkpointed.
const LOG_ROOM: u64 = 5 << 20;

/// Opens the database: WAL, whose commits survive any crash of the process.
///
/// # Errors
/// When the file cannot be opened, or has a later version.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(path).map_err(database_error("open a file"))?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;")
        .map_err(database_error("set up its file"))?;
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(database_error("read its version"))?;
    if version > VERSION {
        return Err(Error::refused(format!(
            "{} has version {version} and was written by a later berth: this one knows version {VERSION}",
            path.display()
        )));
    }
    for from in version..VERSION {
        migrate::from(&mut connection, from).map_err(database_error("bring the tables to this version"))?;
    }
    images::keep_log(&connection, path, LOG_ROOM).map_err(database_error("keep the log"))?;
    Ok(connection)
}
