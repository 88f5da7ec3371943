//! The engine's saved state: one SQLite database, one row a container.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{ContainerId, Event};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::container::saved_exec::SavedExec;
use crate::error::{Error, database_error};
use crate::old_settings;
use crate::record::Record;

/// Room for the changes that are not yet in the database's own file: they grow to 1,000 pages of 4 KiB, as
/// sqlite.org/wal.html says, before they are moved there.
const LOG_ROOM: u64 = 5 << 20;

/// How much a write must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// `kill -9` of the daemon.
    Crash,
    /// Loss of power.
    PowerLoss,
}

/// Rows of volumes that are written or deleted in one step with a container's row.
#[derive(Debug, Default)]
pub(crate) struct VolumeRows {
    /// Those it uses: name, and whether it was made up for a container that named none.
    pub(crate) used: Vec<(String, bool)>,
    /// Those that nobody uses any more.
    pub(crate) gone: Vec<String>,
}

/// The database behind one lock; every call is one short transaction.
pub(crate) struct Database(Mutex<Connection>);

impl Database {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// When the file cannot be opened, or is of a later berth.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path).map_err(database_error("open"))?;
        let set_up = || -> rusqlite::Result<()> {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "cache_size", -512)?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS containers (
                     id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS volumes (
                     name TEXT PRIMARY KEY, anonymous INTEGER NOT NULL) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS execs (
                     id TEXT PRIMARY KEY, container TEXT NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS events (
                     number INTEGER PRIMARY KEY, document TEXT NOT NULL);
                 CREATE TABLE IF NOT EXISTS settings (
                     name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
            )
        };
        set_up().map_err(database_error("set up tables"))?;
        // The log stays when the database is closed: the next process may find the disk full.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(database_error("set up"))?;
        let log = path.with_extension("db-wal");
        if let Err(error) = sys::reserve::reserve(&log, LOG_ROOM) {
            tracing::warn!(path = %log.display(), %error, "cannot keep room to save states on a full disk");
        }
        Ok(Self(Mutex::new(connection)))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a container, new or changed, with the volumes that this concerns.
    ///
    /// # Errors
    /// When the database fails, or the disk is full.
    pub(crate) fn save(
        &self,
        record: &Record,
        volumes: &VolumeRows,
        durability: Durability,
    ) -> Result<(), Error> {
        let document = document(record)?;
        let connection = self.lock();
        let write = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO containers (id, document) VALUES (?1, ?2)")?
                .execute(params![record.id.as_str(), document])?;
            write_volumes(&transaction, volumes)?;
            transaction.commit()
        };
        let result = match durability {
            Durability::Crash => write(),
            Durability::PowerLoss => connection
                .pragma_update(None, "synchronous", "FULL")
                .and_then(|()| write())
                .and_then(|()| connection.pragma_update(None, "synchronous", "NORMAL")),
        };
        result.map_err(database_error("save a container"))
    }

    /// Forgets a container, and the volumes that go with it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn delete(&self, id: &ContainerId, volumes: &VolumeRows) -> Result<(), Error> {
        let connection = self.lock();
        let write = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            transaction.prepare_cached("DELETE FROM containers WHERE id = ?1")?.execute([id.as_str()])?;
            write_volumes(&transaction, volumes)?;
            transaction.commit()
        };
        write().map_err(database_error("delete a container"))
    }

    /// Reads all containers.
    ///
    /// # Errors
    /// When the database fails or a row is not what this berth writes.
    pub(crate) fn containers(&self) -> Result<Vec<Record>, Error> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection.prepare("SELECT document FROM containers")?.query_map([], |row| row.get(0))?.collect()
        };
        let documents = read().map_err(database_error("read the containers"))?;
        documents.iter().map(|document| parse(document)).collect()
    }

    /// Writes an exec, new or changed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn save_exec(&self, exec: &SavedExec) -> Result<(), Error> {
        let document = serde_json::to_string(exec)
            .map_err(|source| Error::refused(format!("cannot write exec {} as JSON: {source}", exec.id)))?;
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO execs (id, container, document) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| {
                statement.execute(params![exec.id.as_str(), exec.container.as_str(), document])
            })
            .map(drop)
            .map_err(database_error("save an exec"))
    }

    /// Forgets a container's execs.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn delete_execs(&self, container: &ContainerId) -> Result<(), Error> {
        self.lock()
            .prepare_cached("DELETE FROM execs WHERE container = ?1")
            .and_then(|mut statement| statement.execute([container.as_str()]))
            .map(drop)
            .map_err(database_error("delete execs"))
    }

    /// Reads all execs.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn execs(&self) -> Result<Vec<SavedExec>, Error> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection.prepare("SELECT document FROM execs")?.query_map([], |row| row.get(0))?.collect()
        };
        let documents = read().map_err(database_error("read the execs"))?;
        Ok(documents.iter().filter_map(|document| serde_json::from_str(document).ok()).collect())
    }

    /// Forgets a volume.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn delete_volume(&self, name: &str) -> Result<(), Error> {
        self.lock()
            .execute("DELETE FROM volumes WHERE name = ?1", [name])
            .map(drop)
            .map_err(database_error("delete a volume"))
    }

    /// Whether a volume exists and was made up for a container that named none.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn is_anonymous(&self, name: &str) -> Result<bool, Error> {
        self.lock()
            .query_row("SELECT anonymous FROM volumes WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map(|anonymous| anonymous.unwrap_or(false))
            .map_err(database_error("read a volume"))
    }

    /// The names of all volumes.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn volumes(&self) -> Result<Vec<String>, Error> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection.prepare("SELECT name FROM volumes")?.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(database_error("read the volumes"))
    }

    /// Reads a setting, or makes it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn setting(&self, name: &str, make: impl FnOnce() -> String) -> Result<String, Error> {
        let connection = self.lock();
        let known = connection
            .query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(database_error("read a setting"))?;
        if let Some(value) = known {
            return Ok(value);
        }
        let value = make();
        connection
            .execute("INSERT INTO settings (name, value) VALUES (?1, ?2)", [name, &value])
            .map_err(database_error("save a setting"))?;
        Ok(value)
    }

    /// Stores an event for the next daemon.
    ///
    /// # Errors
    /// When the database fails, or the disk is full.
    pub(crate) fn save_event(&self, number: u64, event: &Event) -> Result<(), Error> {
        let document = serde_json::to_string(event)
            .map_err(|source| Error::refused(format!("cannot write an event as JSON: {source}")))?;
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO events (number, document) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![number.cast_signed(), document]))
            .map(drop)
            .map_err(database_error("save an event"))
    }

    /// Forgets the events before this number.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn forget_events(&self, before: u64) -> Result<(), Error> {
        self.lock()
            .prepare_cached("DELETE FROM events WHERE number < ?1")
            .and_then(|mut statement| statement.execute([before.cast_signed()]))
            .map(drop)
            .map_err(database_error("forget events"))
    }

    /// The last events that were stored, so many at most, oldest first, with their numbers.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn events(&self, most: u32) -> Result<Vec<(u64, Event)>, Error> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<(i64, String)>> {
            connection
                .prepare("SELECT number, document FROM events ORDER BY number DESC LIMIT ?1")?
                .query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let mut rows = read().map_err(database_error("read the events"))?;
        rows.reverse();
        let event = |(number, document): (i64, String)| {
            serde_json::from_str(&document).ok().map(|event| (number.cast_unsigned(), event))
        };
        Ok(rows.into_iter().filter_map(event).collect())
    }
}

fn write_volumes(connection: &Connection, volumes: &VolumeRows) -> rusqlite::Result<()> {
    for (name, anonymous) in &volumes.used {
        connection
            .prepare_cached("INSERT OR IGNORE INTO volumes (name, anonymous) VALUES (?1, ?2)")?
            .execute(params![name, anonymous])?;
    }
    for name in &volumes.gone {
        connection.prepare_cached("DELETE FROM volumes WHERE name = ?1")?.execute([name])?;
    }
    Ok(())
}

fn document(record: &Record) -> Result<String, Error> {
    serde_json::to_string(record)
        .map_err(|source| Error::refused(format!("cannot write container {} as JSON: {source}", record.id)))
}

fn parse(document: &str) -> Result<Record, Error> {
    let mut record: Value = serde_json::from_str(document).map_err(unreadable)?;
    if !record["host_config"].is_null() {
        record["settings"] = old_settings::settings(&record["config"], &record["host_config"]);
        record["mounts"] = old_settings::mounts(&record["mounts"]);
    }
    serde_json::from_value(record).map_err(unreadable)
}

fn unreadable(source: serde_json::Error) -> Error {
    Error::refused(format!("cannot read a saved container: {source}"))
}
