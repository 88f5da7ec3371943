//! The files by which a container knows names: hosts, hostname and resolv.conf.
//!
//! Their contents are made here from plain values; [`write_in_place`] brings them to disk without
//! changing the file's inode, since running containers have it mounted.

mod hosts;
mod resolv_conf;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub use hosts::{ExtraHost, Hosts, LinkedHost, NameError, host_network_hosts, with_link, without_link};
pub use resolv_conf::{HostServers, NameServers, host_resolv_conf, resolv_conf};

use crate::Error;

/// Makes the content of `/etc/hostname`.
#[must_use]
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}

/// Writes a name file, keeping its inode where it exists. A reader sees the old or the new
/// content, or for a moment a new one with the end of a longer old one, but never nothing.
///
/// # Errors
/// [`Error::File`] when the file cannot be made or written.
pub fn write_in_place(path: &Path, content: &str) -> Result<(), Error> {
    let failed = |source: io::Error| Error::File { act: "write", path: path.to_owned(), source };
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.set_len(content.len() as u64).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

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
}
