//! A database's write-ahead log, kept with its room so that removals find it on a full disk.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// Keeps room for a database's log, and the log when the database is closed: the next process may find the
/// disk full. `bytes` are what the log grows to before its changes are moved into the database's own file.
///
/// # Errors
/// When the connection refuses.
pub fn keep_log(connection: &Connection, database: &Path, bytes: u64) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let log = database.with_extension("db-wal");
    if let Err(error) = sys::reserve::reserve(&log, bytes) {
        tracing::warn!(path = %log.display(), %error, "cannot reserve space for removals on a full disk");
    }
    Ok(())
}

/// Releases the page cache that reading a whole database has filled: changes need few pages, and the kernel has the file's
/// pages as well.
///
/// # Errors
/// When the connection refuses.
pub fn release_pages(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA shrink_memory")
}
