//! Opens the database and migrates its tables to the current version.

use std::path::Path;

use images::Salvaged;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::migrate;
use crate::error::{Error, database_error};

/// The number of these tables and of the shapes of their rows, in `PRAGMA user_version`. A table, or a field of a row, that
/// is new or other needs the next number and a migration: an earlier release would lose it when it writes the row again.
pub(super) const VERSION: u32 = 4;

/// Space for changes that are not yet in the database's own file: the write-ahead log grows to 1,000 pages of
/// 4 KiB (sqlite.org/wal.html) before it is checkpointed.
const LOG_ROOM: u64 = 5 << 20;

/// Opens the database: WAL, whose commits survive any crash of the process.
///
/// # Errors
/// When the file cannot be opened, is damaged, or has a later version.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let mut connection = connect(path)?;
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(database_error("read its version"))?;
    if version > VERSION {
        return Err(Error::refused(format!(
            "{} has version {version} and was written by a later berth: this one knows version {VERSION}",
            path.display()
        )));
    }
    images::check_pages(&connection).map_err(database_error("check its pages"))?;
    migrate(&mut connection, version, VERSION)?;
    images::keep_log(&connection, path, LOG_ROOM).map_err(database_error("keep the log"))?;
    Ok(connection)
}

/// Makes a new database of what can be read of a damaged one, all of it on disk and without a log of its own.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make_of(damaged: &Path, new: &Path) -> Result<Salvaged, Error> {
    let mut connection = Connection::open(new).map_err(database_error("open a file"))?;
    connection.execute_batch("PRAGMA synchronous = FULL;").map_err(database_error("set up its file"))?;
    // The first version had no number, and no row as the later ones have them.
    let version = images::version_of(damaged).filter(|version| (1..=VERSION).contains(version));
    let version = version.unwrap_or(VERSION);
    migrate(&mut connection, 0, version)?;
    let salvaged =
        images::salvage(damaged, &mut connection).map_err(database_error("save what can be read"))?;
    migrate(&mut connection, version, VERSION)?;
    Ok(salvaged)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path).map_err(database_error("open a file"))?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(database_error("set up its file"))?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;")
        .map_err(database_error("set up its file"))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, from: u32, to: u32) -> Result<(), Error> {
    (from..to).try_for_each(|version| {
        migrate::from(connection, version).map_err(database_error("bring the tables to this version"))
    })
}
