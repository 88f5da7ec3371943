//! Opens the database and reads all of it. One whose file is damaged is set aside, and a new one has what can be read of it:
//! the daemon opens.

use std::path::Path;

use rusqlite::Connection;

use super::load::{self, Saved};
use super::schema;
use crate::error::{Error, database_error, file_error};

/// Opens or makes the database, brings it to this version, and reads its rows.
///
/// # Errors
/// When the file cannot be opened, read or replaced, or is of a later berth.
pub(super) fn open(path: &Path) -> Result<(Connection, Saved), Error> {
    images::conclude_replacement(path).map_err(file_error("replace", path))?;
    let is_missing = images::is_missing(path).map_err(file_error("open", path))?;
    if is_missing && ["containers", "volumes"].iter().any(|name| has_entries(path, name)) {
        return replace(path, "it is empty");
    }
    match open_whole(path) {
        Err(Error::Database { source, .. }) if images::is_damage(&source) => {
            replace(path, &source.to_string())
        }
        opened => opened,
    }
}

/// Reads the rows. As long as a damaged database lies beside it, rows may be lost: an earlier process may have ended before it
/// had found what lies on the disk.
fn open_whole(path: &Path) -> Result<(Connection, Saved), Error> {
    let mut connection = schema::open(path)?;
    let mut saved = load::read(&mut connection).map_err(database_error("read the rows"))?;
    saved.is_lost = !images::those_set_aside(path).is_empty();
    Ok((connection, saved))
}

/// Whether a directory beside the database has anything in it.
fn has_entries(database: &Path, directory: &str) -> bool {
    std::fs::read_dir(database.with_file_name(directory)).is_ok_and(|mut entries| entries.next().is_some())
}

fn replace(path: &Path, damage: &str) -> Result<(Connection, Saved), Error> {
    let new = images::begin_replacement(path).map_err(file_error("replace", path))?;
    let salvaged = schema::make_of(path, &new)?;
    let aside = images::finish_replacement(path).map_err(file_error("replace", path))?;
    tracing::error!(
        "the engine's database {} is damaged ({damage}): it is kept as {}, a new one has the {} rows that can be read. Containers \
         that run without a row lose their interfaces and ports",
        path.display(),
        aside.display(),
        salvaged.rows
    );
    open_whole(path)
}
