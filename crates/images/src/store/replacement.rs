//! Puts a new database in the place of a damaged one: whenever the process ends, there is either the damaged one or all of the
//! new one.
//!
//! ```text
//! <name>.new ──finished and on disk──▶ <name>.replacement ──the damaged one is set aside──▶ <name>
//! ```

use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

use super::damage::{beside, is_missing, set_aside};
use super::write_out;

/// Gives the path at which a new database is to be made; what an earlier process left there is deleted.
///
/// # Errors
/// Those of unlink(2).
pub fn begin_replacement(database: &Path) -> Result<PathBuf> {
    let new = beside(database, ".new");
    for end in ["-journal", "-wal", "-shm", ""] {
        match std::fs::remove_file(beside(&new, end)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(new)
}

/// Sets the damaged database aside and puts the new one in its place, which nobody has open and which has no log. Gives the new
/// path of the damaged one.
///
/// # Errors
/// When a file cannot be written to disk, or the directory cannot be changed.
pub fn finish_replacement(database: &Path) -> Result<PathBuf> {
    let new = beside(database, ".new");
    write_out::file(&new)?;
    let whole = beside(database, ".replacement");
    std::fs::rename(&new, &whole)?;
    write_directory(database)?;
    let aside = set_aside(database)?;
    std::fs::rename(&whole, database)?;
    write_directory(database)?;
    Ok(aside)
}

/// Does what an earlier process had left to do when it ended amid [`finish_replacement`].
///
/// # Errors
/// When the directory cannot be changed.
pub fn conclude_replacement(database: &Path) -> Result<()> {
    let whole = beside(database, ".replacement");
    if is_missing(&whole)? {
        return Ok(());
    }
    // It may have been set aside already, and its log before it.
    if database.exists() || beside(database, "-wal").exists() {
        set_aside(database)?;
    }
    std::fs::rename(&whole, database)?;
    write_directory(database)
}

fn write_directory(database: &Path) -> Result<()> {
    database.parent().map_or(Ok(()), write_out::file)
}

#[cfg(test)]
mod tests {
    use super::super::damage::those_set_aside;
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        /// With a damaged database and its log.
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("berth-replacement-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a directory");
            let directory = Self(path);
            directory.write("some.db", "damaged");
            directory.write("some.db-wal", "its log");
            directory
        }

        fn database(&self) -> PathBuf {
            self.0.join("some.db")
        }

        fn write(&self, name: &str, content: &str) {
            std::fs::write(self.0.join(name), content).expect("a file");
        }

        fn read(&self, name: &str) -> Option<String> {
            std::fs::read_to_string(self.0.join(name)).ok()
        }

        /// Checks that the new one is in its place, and the damaged one aside.
        fn check(&self) {
            assert_eq!(self.read("some.db").as_deref(), Some("new"));
            for left in ["some.db-wal", "some.db.new", "some.db.replacement"] {
                assert_eq!(self.read(left), None, "{left}");
            }
            let aside = those_set_aside(&self.database());
            assert_eq!(aside.len(), 1);
            assert_eq!(std::fs::read_to_string(&aside[0]).expect("it"), "damaged");
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn before_the_new_one_is_finished_the_damaged_one_stays_in_its_place() {
        let directory = Directory::new("unfinished");
        for end in ["", "-journal", "-wal", "-shm"] {
            directory.write(&format!("some.db.new{end}"), "half");
        }
        conclude_replacement(&directory.database()).expect("nothing to do");
        assert_eq!(directory.read("some.db").as_deref(), Some("damaged"));
        let new = begin_replacement(&directory.database()).expect("cleared");
        assert_eq!(std::fs::read_dir(&directory.0).expect("files").count(), 2);
        std::fs::write(new, "new").expect("made");
        let aside = finish_replacement(&directory.database()).expect("in its place");
        directory.check();
        assert_eq!(std::fs::read_to_string(beside(&aside, "-wal")).expect("its log"), "its log");
    }

    #[test]
    fn what_ended_after_it_was_finished_is_done_by_the_next_start() {
        for steps in 0..3 {
            let directory = Directory::new(&format!("finished-{steps}"));
            directory.write("some.db.replacement", "new");
            if steps > 0 {
                std::fs::rename(directory.0.join("some.db-wal"), directory.0.join("some.db.damaged-1-wal"))
                    .expect("the log aside");
            }
            if steps > 1 {
                std::fs::rename(directory.database(), directory.0.join("some.db.damaged-1")).expect("aside");
            }
            conclude_replacement(&directory.database()).expect("concluded");
            directory.check();
            conclude_replacement(&directory.database()).expect("nothing to do");
            directory.check();
        }
    }
}
