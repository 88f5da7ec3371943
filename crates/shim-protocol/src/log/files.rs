//! The files of a rotated log: which they are, which comes after which, how one more is begun.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::compression::{origin, unpacked};
use super::names::{Identity, compressed, rotated};

/// One file of a log, open to be read.
#[derive(Debug)]
pub(crate) struct LogFile {
    /// Its records.
    pub(crate) records: File,
    /// Which it is among the log's files.
    pub(crate) identity: Identity,
    /// The compressed file that the records were unpacked from: while it is open no other file can be taken for it.
    _packed: Option<File>,
}

impl LogFile {
    /// Opens the log's file of this age, compressed or not; `None` when there is none.
    pub(crate) fn open(path: &Path, age: u32) -> io::Result<Option<Self>> {
        // A file that is compressed between the two attempts is found at the second name.
        if let Some(records) = present(File::open(rotated(path, age)))? {
            let identity = Identity::of(&records.metadata()?);
            return Ok(Some(Self { records, identity, _packed: None }));
        }
        if age == 0 {
            return Ok(None);
        }
        let Some(packed) = present(File::open(compressed(path, age)))? else { return Ok(None) };
        let identity = Identity::of(&packed.metadata()?);
        let records = unpacked(&packed, path)?;
        Ok(Some(Self { records, identity, _packed: Some(packed) }))
    }
}

fn present(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins a new file: each grows older by one, what is older than `keep` files is gone. Returns the
/// new file, open for appending. There is a file at `path` at every moment.
///
/// # Errors
/// Those of link(2), rename(2) and open(2); then the log is still complete and `path` is the old file.
pub fn rotate(path: &Path, keep: u32) -> io::Result<File> {
    let mut fresh = OsString::from(path);
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&fresh)?;
    let oldest = keep.saturating_sub(1);
    if oldest > 0 {
        // Before anything moves: an attempt that fails and is made again must push no file out.
        let mut second_name = OsString::from(path);
        second_name.push(".old");
        absent_is_fine(fs::remove_file(&second_name))?;
        fs::hard_link(path, &second_name)?;
        for age in (1..oldest).rev() {
            grow_older(path, age)?;
        }
        fs::rename(&second_name, rotated(path, 1))?;
        absent_is_fine(fs::remove_file(compressed(path, 1)))?;
    }
    fs::rename(&fresh, path)?;
    Ok(file)
}

/// Gives a file, compressed or not, the name of the next age. What had that name has moved on, or is the oldest.
fn grow_older(path: &Path, age: u32) -> io::Result<()> {
    let plain = (rotated(path, age), rotated(path, age + 1));
    let packed = (compressed(path, age), compressed(path, age + 1));
    // Both are there where a compression was interrupted at its last step.
    let (moved, other) = if plain.0.exists() { (plain, packed) } else { (packed, plain) };
    match fs::rename(&moved.0, &moved.1) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    absent_is_fine(fs::remove_file(other.0))?;
    absent_is_fine(fs::remove_file(other.1))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The ages of the existing files, youngest first, each looked up on demand. Files only grow older, so none is missed while
/// the log rotates. One name may be free for a moment then.
fn younger_first(path: &Path) -> impl Iterator<Item = u32> {
    let mut missing = 0;
    let looked_for = (0..).map_while(move |age| {
        let is_there = rotated(path, age).exists() || compressed(path, age).exists();
        missing = if is_there { 0 } else { missing + 1 };
        (missing <= 1).then_some((age, is_there))
    });
    looked_for.filter(|(_, is_there)| *is_there).map(|(age, _)| age)
}

/// The ages of all files there are, oldest first.
pub(crate) fn ages(path: &Path) -> Vec<u32> {
    let mut ages: Vec<u32> = younger_first(path).collect();
    ages.reverse();
    ages
}

/// The file that follows the one of this identity. The log may rotate during the search, so the result is
/// verified once more. `None` when the file is the newest.
pub(crate) fn successor(path: &Path, of: Identity) -> io::Result<Option<LogFile>> {
    const ATTEMPTS: u32 = 100;
    for _ in 0..ATTEMPTS {
        let Some(age) = age_of(path, of) else {
            // It has been rotated away altogether: what is oldest now comes next.
            match oldest(path)?.filter(|found| found.identity != of) {
                None => continue,
                found => return Ok(found),
            }
        };
        if age == 0 {
            return Ok(None);
        }
        let Some(next) = LogFile::open(path, age - 1)? else { continue };
        if age_of(path, of) == Some(age) && next.identity != of {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// How old the file of this identity is, or the one that it was compressed to; `None` when it is gone.
pub(crate) fn age_of(path: &Path, of: Identity) -> Option<u32> {
    let is_it = |file: &Path| fs::metadata(file).is_ok_and(|metadata| Identity::of(&metadata) == of);
    let same = |age: &u32| is_it(&rotated(path, *age)) || is_it(&compressed(path, *age));
    // Inode numbers are reused, but not while the file is open: the youngest match is the right one.
    let made_of_it =
        |age: &u32| File::open(compressed(path, *age)).is_ok_and(|file| origin(&file) == Some(of));
    younger_first(path).find(same).or_else(|| younger_first(path).find(made_of_it))
}

fn oldest(path: &Path) -> io::Result<Option<LogFile>> {
    for age in ages(path) {
        if let Some(file) = LogFile::open(path, age)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}
