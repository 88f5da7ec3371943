//! A container's files for names: hosts, hostname and resolv.conf.
//!
//! Their contents are made here from plain values; [`write_in_place`] writes them to disk without changing
//! the file's inode, since running containers have it mounted.

mod hosts;
mod name_server;
mod on_host;
mod resolv_conf;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

pub use hosts::{
    HostLine, Hosts, LinkedHost, NameError, host_network_hosts, with_link, with_missing_own_addresses,
    with_own_address, without_link, without_own_address,
};
pub use name_server::{OwnNameServer, Reach, UpstreamServer};
pub use resolv_conf::{HostServers, NameServers, host_resolv_conf, resolv_conf};

pub use self::on_host::LONGEST_HOSTS_FILE;
use self::on_host::read_on_host;
use crate::Error;

/// Makes the content of `/etc/hostname`.
#[must_use]
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}

/// A longer end of an old content is cut off, not overwritten, in bytes: it fits in one page, so that one write is
/// whole even in a process that is killed.
const LONGEST_PADDING: usize = 2048;

/// Writes a resolver file, keeping its inode where it exists. A reader sees the old or the new
/// content, or for a moment a new one with empty lines at its end in place of a longer old one, but never nothing.
///
/// # Errors
/// [`Error::File`] when the file cannot be made or written.
pub fn write_in_place(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let failed = |source: io::Error| Error::File { act: "write", path: path.to_owned(), source };
    let content = content.as_ref();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    let mut file = options.open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length == content.len() as u64 && has_content(&file, content).map_err(failed)? {
        return Ok(());
    }
    let surplus = length.saturating_sub(content.len() as u64);
    let padding = usize::try_from(surplus).ok().filter(|length| *length <= LONGEST_PADDING).unwrap_or(0);
    file.write_all(&[content, &vec![b'\n'; padding]].concat()).map_err(failed)?;
    file.set_len(content.len() as u64).map_err(failed)
}

/// Whether a file begins with a content: what it has already need not be written.
fn has_content(file: &File, content: &[u8]) -> io::Result<bool> {
    let mut present = vec![0; content.len()];
    match file.read_exact_at(&mut present, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| present == content),
    }
}

/// Changes a hosts file in place. The container may have written anything into it: one that is longer
/// than [`LONGEST_HOSTS_FILE`] or has become something else than a file is refused and stays.
///
/// # Errors
/// [`Error::File`] when the file cannot be read or written.
pub fn change_hosts(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), Error> {
    let content = sys::bounded_read::read(path, LONGEST_HOSTS_FILE).map_err(|source| Error::File {
        act: "read",
        path: path.to_owned(),
        source,
    })?;
    let changed = change(&content);
    if changed == content { Ok(()) } else { write_in_place(path, changed) }
}

/// Reads the host's own hosts file.
///
/// # Errors
/// [`Error::File`] when it cannot be read.
pub fn host_hosts(path: &Path) -> Result<String, Error> {
    read_on_host(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_hosts_file_that_its_container_made_huge_is_not_read() {
        let path = std::env::temp_dir().join(format!("berth-hosts-{}", std::process::id()));
        write_in_place(&path, "1.2.3.4\tx\n").expect("written");
        change_hosts(&path, |content| [content, b"5.6.7.8\ty\n"].concat()).expect("changed");
        let content = std::fs::read_to_string(&path).expect("content");
        let file = OpenOptions::new().write(true).open(&path).expect("opened");
        file.set_len(8 << 30).expect("made sparse");
        let changed = change_hosts(&path, |_| panic!("the content is not read"));
        let length = file.metadata().expect("metadata").len();
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(content, "1.2.3.4\tx\n5.6.7.8\ty\n");
        assert!(matches!(changed, Err(Error::File { act: "read", .. })), "{changed:?}");
        assert_eq!(length, 8 << 30);
    }

    #[test]
    fn a_shorter_content_keeps_the_inode() {
        let path = std::env::temp_dir().join(format!("berth-names-{}", std::process::id()));
        write_in_place(&path, "a long content\n").expect("written");
        let inode = std::fs::metadata(&path).expect("metadata").ino();
        write_in_place(&path, "short\n").expect("written");
        let content = std::fs::read_to_string(&path).expect("content");
        let same = std::fs::metadata(&path).expect("metadata").ino();
        std::fs::remove_file(&path).expect("removed");
        assert_eq!((content.as_str(), same), ("short\n", inode));
    }

    #[test]
    fn what_is_there_already_is_not_written() {
        let path = std::env::temp_dir().join(format!("berth-same-{}", std::process::id()));
        write_in_place(&path, "the same\n").expect("written");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        let modified = || std::fs::metadata(&path).and_then(|found| found.modified()).expect("a time");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(long_ago))
            .expect("an old file");
        write_in_place(&path, "the same\n").expect("nothing to do");
        assert_eq!(modified(), long_ago);
        write_in_place(&path, "not same\n").expect("written");
        assert_ne!(modified(), long_ago);
        let content = std::fs::read_to_string(&path).expect("content");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(content, "not same\n");
    }
}
