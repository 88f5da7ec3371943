//! Databases whose files are damaged: they are set aside, and what can still be read of them is put into new ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

/// Stands behind the name of a database that was set aside, before a number of seconds since 1970.
const MARK: &str = ".damaged-";

/// What was read of a damaged database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// How many rows.
    pub rows: usize,
    /// The tables of which rows may be lost.
    pub broken_tables: Vec<String>,
}

/// Whether an error says that a file is no database, or that its pages are damaged.
#[must_use]
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Checks that the pages of a database are whole.
///
/// # Errors
/// Those of [`is_damage`] where they are not.
pub fn check_pages(connection: &Connection) -> rusqlite::Result<()> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding == "ok" {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(finding)))
}

/// Whether a database is not there, or empty: then nothing of it can be read.
///
/// # Errors
/// Those of stat(2); a link that leads nowhere is one.
pub fn is_missing(database: &Path) -> std::io::Result<bool> {
    match database.metadata() {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound && database.symlink_metadata().is_err() =>
        {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Renames a database with its log, so that a new one can be made in its place; of one that is gone an empty file remains.
/// Gives its new path.
///
/// # Errors
/// When the directory cannot be changed.
pub(super) fn set_aside(database: &Path) -> std::io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut number = seconds;
    let mut aside = beside(database, &format!("{MARK}{number}"));
    while aside.exists() {
        number += 1;
        aside = beside(database, &format!("{MARK}{number}"));
    }
    // The log first: a database that has lost its log is damaged still, a new one would take this log for its own.
    for end in ["-wal", "-shm", ""] {
        match std::fs::rename(beside(database, end), beside(&aside, end)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
    }
    if !aside.exists() {
        drop(sys::private::create(&aside)?);
    }
    Ok(aside)
}

/// The databases that were set aside in the place of this one and that nobody has taken away.
#[must_use]
pub fn those_set_aside(database: &Path) -> Vec<PathBuf> {
    let Some((directory, name)) = database.parent().zip(database.file_name()) else { return Vec::new() };
    let start = format!("{}{MARK}", name.to_string_lossy());
    let is_one = |name: &str| {
        name.strip_prefix(&start).is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let found = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one));
    found.map(|entry| entry.path()).collect()
}

/// The number of a database's layout; `None` where it cannot be read.
#[must_use]
pub fn version_of(database: &Path) -> Option<u32> {
    open_damaged(database).ok()?.pragma_query_value(None, "user_version", |row| row.get(0)).ok()
}

/// Puts what can be read of a damaged database into the tables of a new one. Of each table all rows before the first
/// damaged page are read, and all behind the last one.
///
/// # Errors
/// When the new one cannot be written.
pub fn salvage(damaged: &Path, new: &mut Connection) -> rusqlite::Result<Salvaged> {
    // Rows come in any order and as they are.
    for setting in [DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER] {
        new.set_db_config(setting, false)?;
    }
    let transaction = new.transaction()?;
    let mut salvaged = Salvaged::default();
    let old = open_damaged(damaged);
    for table in tables(&transaction)? {
        let (rows, is_whole) = match &old {
            Ok(old) => copy(old, &transaction, &table)?,
            Err(_) => (0, false),
        };
        salvaged.rows += rows;
        if !is_whole {
            salvaged.broken_tables.push(table);
        }
    }
    transaction.commit()?;
    for setting in [DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER] {
        new.set_db_config(setting, true)?;
    }
    Ok(salvaged)
}

/// Opens a damaged database; it stays as it is.
fn open_damaged(path: &Path) -> rusqlite::Result<Connection> {
    // SQLite would delete the log of an empty file.
    if is_missing(path).unwrap_or(true) {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), None));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

/// The names of a table's columns, and those of its primary key.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<(Vec<String>, Vec<String>)> {
    let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info(?) ORDER BY pk, cid")?;
    let mut rows = statement.query([table])?;
    let (mut all, mut key) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if row.get::<_, i64>(1)? > 0 {
            key.push(name.clone());
        }
        all.push(name);
    }
    Ok((all, key))
}

/// Gives how many rows were copied, and whether these are all.
fn copy(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<(usize, bool)> {
    let mut copied = 0;
    let (wanted, _) = columns(new, table)?;
    let Ok((known, key)) = columns(old, table) else { return Ok((0, false)) };
    let shared: Vec<&str> =
        wanted.iter().filter(|column| known.contains(column)).map(String::as_str).collect();
    if shared.is_empty() {
        return Ok((0, false));
    }
    let has_rowid = old.prepare(&format!("SELECT rowid FROM {table}")).is_ok();
    let key = if has_rowid { vec!["rowid".to_owned()] } else { key };
    let places = vec!["?"; shared.len()].join(", ");
    let list = shared.join(", ");
    let mut insert = new.prepare(&format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({places})"))?;
    for direction in ["ASC", "DESC"] {
        let order: Vec<String> = key.iter().map(|column| format!("{column} {direction}")).collect();
        let Ok(mut statement) =
            old.prepare(&format!("SELECT {list} FROM {table} ORDER BY {}", order.join(", ")))
        else {
            continue;
        };
        let Ok(mut rows) = statement.query([]) else { continue };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let values = (0..shared.len()).map(|column| row.get::<_, Value>(column));
                    // A text that is no UTF-8 is no text of ours.
                    if let Ok(values) = values.collect::<rusqlite::Result<Vec<_>>>() {
                        copied += insert.execute(rusqlite::params_from_iter(values))?;
                    }
                }
                Ok(None) => {
                    return Ok((copied, true));
                }
                Err(_) => break,
            }
        }
    }
    Ok((copied, false))
}

/// A path with this behind its name.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("berth-damage-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a directory");
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const TABLES: &str = "
        CREATE TABLE things (name TEXT PRIMARY KEY, content TEXT NOT NULL, later TEXT) WITHOUT ROWID;
        CREATE TABLE counted (key TEXT PRIMARY KEY, content BLOB NOT NULL);
    ";

    /// A database with 300 rows in each of two tables.
    fn filled(path: &Path) {
        let database = Connection::open(path).expect("a database");
        database.execute_batch(&TABLES.replace(", later TEXT", "")).expect("tables");
        for number in 0..300 {
            let values = (format!("{number:03}"), "x".repeat(400));
            database.execute("INSERT INTO things VALUES (?, ?)", values.clone()).expect("a row");
            database.execute("INSERT INTO counted VALUES (?, ?)", values).expect("a row");
        }
    }

    fn count(database: &Connection) -> usize {
        let query = "SELECT (SELECT count(*) FROM things) + (SELECT count(*) FROM counted)";
        let count: i64 = database.query_row(query, [], |row| row.get(0)).expect("a count");
        usize::try_from(count).expect("few")
    }

    #[test]
    fn the_rows_before_and_behind_a_damaged_page_are_read() {
        let directory = Directory::new("page");
        let path = directory.0.join("some.db");
        filled(&path);
        let mut bytes = std::fs::read(&path).expect("its bytes");
        let pages = bytes.len() / 4096;
        let middle = pages / 2 * 4096;
        bytes[middle..middle + 4096].fill(0xa5);
        std::fs::write(&path, bytes).expect("damaged");
        let damaged = Connection::open(&path).expect("a file");
        assert!(is_damage(&check_pages(&damaged).expect_err("it is damaged")));
        drop(damaged);
        let aside = set_aside(&path).expect("set aside");
        assert_eq!(those_set_aside(&path), std::slice::from_ref(&aside));
        let before = std::fs::read(&aside).expect("it");
        let mut new = Connection::open(&path).expect("a new one");
        new.execute_batch(TABLES).expect("tables");
        let salvaged = salvage(&aside, &mut new).expect("what there is");
        assert!(salvaged.rows > 500 && salvaged.rows < 600, "{salvaged:?} of {pages} pages");
        assert_eq!((salvaged.broken_tables.len(), salvaged.rows), (1, count(&new)));
        check_pages(&new).expect("the new one is whole");
        assert!(std::fs::read(&aside).expect("it") == before, "it was changed");
    }

    #[test]
    fn of_what_is_no_database_nothing_is_read() {
        let directory = Directory::new("none");
        let path = directory.0.join("some.db");
        for content in [&b""[..], &[0; 8192], b"SQLite format 3\0 and nothing behind it", &[0x5a; 10_000]] {
            std::fs::write(&path, content).expect("a file");
            let aside = set_aside(&path).expect("set aside");
            assert!(version_of(&aside).is_none_or(|version| version == 0), "{content:?}");
            let mut new = Connection::open_in_memory().expect("a new one");
            new.execute_batch(TABLES).expect("tables");
            let salvaged = salvage(&aside, &mut new).expect("nothing");
            assert_eq!((salvaged.rows, salvaged.broken_tables.len()), (0, 2));
        }
        assert_eq!(those_set_aside(&path).len(), 4);
    }

    #[test]
    fn what_only_the_log_has_is_read_too() {
        let directory = Directory::new("log");
        let path = directory.0.join("some.db");
        let database = Connection::open(&path).expect("a database");
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("a setting");
        database.execute_batch(&format!("PRAGMA journal_mode = WAL; {TABLES}")).expect("tables");
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").expect("moved");
        database.execute("INSERT INTO things VALUES ('late', 'x', NULL)", []).expect("a row");
        drop(database);
        let aside = set_aside(&path).expect("set aside");
        let mut new = Connection::open(&path).expect("a new one");
        new.execute_batch(TABLES).expect("tables");
        assert_eq!(salvage(&aside, &mut new).expect("all"), Salvaged { rows: 1, broken_tables: Vec::new() });
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_missing() {
        let directory = Directory::new("missing");
        let path = directory.0.join("some.db");
        assert!(is_missing(&path).expect("nothing there"));
        std::os::unix::fs::symlink(directory.0.join("elsewhere"), &path).expect("a link");
        assert!(is_missing(&path).is_err(), "a link that leads nowhere");
        assert!(is_missing(&directory.0.join("x".repeat(300))).is_err());
        std::fs::write(directory.0.join("elsewhere"), "").expect("a file");
        assert!(is_missing(&path).expect("an empty one"));
        std::fs::write(directory.0.join("elsewhere"), "x").expect("a file");
        assert!(!is_missing(&path).expect("one that is there"));
    }
}
