//! The files of a rotated log: which they are, which comes after which, how one more is begun.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What tells one file from another while someone holds it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The name of the log's file of this age; 0 is the one that is written.
#[must_use]
pub fn rotated(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{age}"));
    PathBuf::from(name)
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
            absent_is_fine(fs::rename(rotated(path, age), rotated(path, age + 1)))?;
        }
        fs::rename(&second_name, rotated(path, 1))?;
    }
    fs::rename(&fresh, path)?;
    Ok(file)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The ages of all files there are, oldest first. One name may be free for a moment while the log rotates.
pub(crate) fn ages(path: &Path) -> Vec<u32> {
    let mut ages = Vec::new();
    let mut missing = 0;
    for age in 0.. {
        if rotated(path, age).exists() {
            ages.push(age);
            missing = 0;
        } else {
            missing += 1;
        }
        if missing > 1 {
            break;
        }
    }
    ages.reverse();
    ages
}
/// The file that follows the one of this identity. The log may rotate while this looks, so what was
/// found is looked at once more. `None` when the file is the newest.
pub(crate) fn successor(path: &Path, of: Identity) -> io::Result<Option<File>> {
    const ATTEMPTS: u32 = 100;
    for _ in 0..ATTEMPTS {
        let Some(age) = age_of(path, of) else {
            // It has been rotated away altogether: what is oldest now comes next.
            match oldest(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                found => return found.map(Some),
            }
        };
        if age == 0 {
            return Ok(None);
        }
        let next = match File::open(rotated(path, age - 1)) {
            Ok(next) => next,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if age_of(path, of) == Some(age) && Identity::of(&next.metadata()?) != of {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// How old the file of this identity is; `None` when it is gone.
pub(crate) fn age_of(path: &Path, of: Identity) -> Option<u32> {
    let mut missing = 0;
    for age in 0.. {
        match fs::metadata(rotated(path, age)) {
            Ok(metadata) if Identity::of(&metadata) == of => return Some(age),
            Ok(_) => missing = 0,
            Err(_) => missing += 1,
        }
        if missing > 1 {
            return None;
        }
    }
    None
}

fn oldest(path: &Path) -> io::Result<File> {
    let mut last = Err(io::Error::from(ErrorKind::NotFound));
    for age in ages(path) {
        last = File::open(rotated(path, age));
        if last.is_ok() {
            return last;
        }
    }
    last
}
