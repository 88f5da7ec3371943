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
    if images::is_missing(path) && ["containers", "volumes"].iter().any(|name| has_entries(path, name)) {
        return replace(path, "it is empty");
    }
    let opened = schema::open(path).and_then(|mut connection| {
        let saved = load::read(&mut connection).map_err(database_error("read the rows"))?;
        Ok((connection, saved))
    });
    match opened {
        Err(Error::Database { source, .. }) if images::is_damage(&source) => {
            replace(path, &source.to_string())
        }
        opened => opened,
    }
}

/// Whether a directory beside the database has anything in it.
fn has_entries(database: &Path, directory: &str) -> bool {
    std::fs::read_dir(database.with_file_name(directory)).is_ok_and(|mut entries| entries.next().is_some())
}

fn replace(path: &Path, damage: &str) -> Result<(Connection, Saved), Error> {
    let aside = images::set_aside(path).map_err(file_error("set aside", path))?;
    let (mut connection, salvaged) = schema::replace(path, &aside)?;
    tracing::error!(
        "the engine's database {} is damaged ({damage}): it is kept as {}, a new one has the {} rows that can be read",
        path.display(),
        aside.display(),
        salvaged.rows
    );
    let mut saved = load::read(&mut connection).map_err(database_error("read the rows"))?;
    saved.is_lost = true;
    Ok((connection, saved))
}
