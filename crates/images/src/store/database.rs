//! Opens `images.db`.

mod tables;

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::damage::{check_pages, is_damage, is_missing, salvage};
use super::log::keep_log;
use super::replacement::{begin_replacement, conclude_replacement, finish_replacement};
use crate::Error;

/// Space for the changes that are not yet in the database's own file. They are moved there in the background when they have
/// grown to half of that, see `checkpoint`; where that does not keep up, by the next change.
const LOG_ROOM: u64 = 2 << 20;

/// Opens the database. One whose file is damaged is set aside, and a new one has the images of which all can be read: the
/// daemon opens.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let failed = || Error::database("open the store");
    conclude_replacement(path).map_err(Error::file("replace", path))?;
    let layers = std::fs::read_dir(path.with_file_name("layers"));
    if is_missing(path).map_err(Error::file("open", path))?
        && layers.is_ok_and(|mut layers| layers.next().is_some())
    {
        return replace(path, "it is empty");
    }
    match open_whole(path) {
        Err(damage) if is_damage(&damage) => replace(path, &damage.to_string()),
        opened => opened.map_err(failed()),
    }
}

fn open_whole(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > tables::VERSION {
        let message = format!("the layout has version {version}, this program knows {}", tables::VERSION);
        return Err(rusqlite::Error::InvalidParameterName(message));
    }
    check_pages(&connection)?;
    tables::bring(&connection, version, path)?;
    keep_log(&connection, path, LOG_ROOM)?;
    Ok(connection)
}

/// Sets a damaged database aside. As long as it lies there, the files of layers without a row stay too.
fn replace(path: &Path, damage: &str) -> Result<Connection, Error> {
    let new = begin_replacement(path).map_err(Error::file("replace", path))?;
    let images = make(&new, path).map_err(Error::database("make a new store"))?;
    let aside = finish_replacement(path).map_err(Error::file("replace", path))?;
    tracing::error!(
        "the image database {} is damaged ({damage}): it is kept as {}, a new one has the {images} images that can be read. \
         The files of the others' layers stay until that is deleted",
        path.display(),
        aside.display()
    );
    open_whole(path).map_err(Error::database("open the store"))
}

/// Makes a new database of what can be read of a damaged one, all of it on disk and without a log of its own. Gives how many
/// images it has.
fn make(new: &Path, damaged: &Path) -> rusqlite::Result<u64> {
    let mut connection = Connection::open(new)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")?;
    tables::bring(&connection, 0, damaged)?;
    let salvaged = salvage(damaged, &mut connection)?;
    tables::drop_incomplete_images(&connection, &salvaged.broken_tables)
}

/// Connects with WAL, whose commits survive any crash of the process, and a loss of power soon after; those that must survive
/// it at once are made with [`durably`].
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A small cache: readers use the index, only documents and changes come here.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -256; PRAGMA wal_autocheckpoint = 448; PRAGMA temp_store = MEMORY;
         PRAGMA busy_timeout = 10000;",
    )?;
    Ok(connection)
}

/// Makes changes that are on disk when this returns, and with them all made before.
pub(super) fn durably<T>(
    connection: &mut Connection,
    change: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let result = change(connection);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    result
}

#[cfg(test)]
mod tests;
