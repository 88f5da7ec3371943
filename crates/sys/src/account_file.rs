//! Reads a container's own `/etc/passwd` and `/etc/group`, which its image wrote.
//!
//! Unlike [`bounded_read`], this needs no `/proc`: it reads in a container's new root, too, before anything is mounted
//! there.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::{bounded_read, confined};

/// Bytes of a file of users or groups that are read; real ones are a thousandth of it.
const LONGEST_FILE: u64 = 8 * 1024 * 1024;

/// The file's text, cut after 8 MiB: entries behind that are ignored. A missing file has no entries; only a regular,
/// stored file is opened for reading, so that nothing blocks, no device acts, and no symlink leads to generated files
/// of `/proc`.
///
/// # Errors
/// What openat2(2) and read(2) fail with.
pub fn read(root: impl AsFd, path: &Path) -> io::Result<String> {
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut opened = None;
    // First as a mere path; it may be another file by the time that it is opened for reading.
    for flags in [OFlags::PATH, reading] {
        let file = match confined::open(&root, path, flags, confined::IN_ROOT) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(String::new()),
            other => other?,
        };
        match bounded_read::check_stored(&file) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Ok(String::new()),
            checked => checked?,
        }
        opened = Some(File::from(file));
    }
    let Some(file) = opened else { return Ok(String::new()) };
    let bytes = bounded_read::read_stream(file.take(LONGEST_FILE), LONGEST_FILE)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
