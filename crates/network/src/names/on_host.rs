//! Reads resolver files of the host.

use std::io;
use std::path::Path;

use crate::error::Error;

/// The longest hosts or resolv.conf file that is read, in bytes. Lists of blocked advertisers, the
/// longest hosts files that people use, have some 5 MB.
pub const LONGEST_HOSTS_FILE: u64 = 8 * 1024 * 1024;

/// Reads a file of the host as text. A missing file is an empty one.
pub(super) fn read_on_host(path: &Path) -> Result<String, Error> {
    match sys::bounded_read::read_on_host(path, LONGEST_HOSTS_FILE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(Error::File { act: "read", path: path.to_owned(), source }),
    }
}
