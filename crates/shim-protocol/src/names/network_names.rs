//! The daemon's side of a network's names: keeps them, writes the file.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::escape::{lookup_text, text_of};
use super::file::{MAGIC, NO_NAME};

/// Where a network's names are, beneath the daemon's `--exec-root`.
#[must_use]
pub fn names_file(exec_root: &Path, network: &str) -> PathBuf {
    exec_root.join("networks").join(format!("{network}.names"))
}

/// A container that runs on a network, with its names there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedEndpoint {
    /// The container's name, which its addresses lead back to.
    pub name: String,
    /// Its other names there: aliases, short id, host name.
    pub other_names: Vec<String>,
    /// Its addresses on this network.
    pub addresses: Vec<IpAddr>,
}

impl NamedEndpoint {
    /// Its lines in the network's file, each once. Names that cannot be domain names have none: they cannot
    /// be queried.
    fn lines(&self) -> Vec<String> {
        let names = std::iter::once(&self.name).chain(&self.other_names);
        let keys = names.filter_map(|name| lookup_text(name));
        let mut lines: Vec<String> = keys
            .flat_map(|key| self.addresses.iter().map(move |address| format!("n {key} {address}\n")))
            .collect();
        if let Some(name) = text_of(&self.name) {
            lines.extend(self.addresses.iter().map(|address| format!("p {address} {name}\n")));
        }
        lines.sort_unstable();
        lines.dedup();
        lines
    }
}

/// The names of a network. A change costs little however many containers there are.
#[derive(Debug, Clone)]
pub struct NetworkNames {
    first_line: String,
    /// The file's lines, and how many endpoints have each.
    lines: BTreeMap<String, usize>,
}

impl NetworkNames {
    /// The names of a network of this name on which nothing runs.
    #[must_use]
    pub fn new(network: &str) -> Self {
        let name = text_of(network).unwrap_or_else(|| NO_NAME.to_owned());
        Self { first_line: format!("{MAGIC}{name}\n"), lines: BTreeMap::new() }
    }

    /// Adds an endpoint.
    pub fn add(&mut self, endpoint: &NamedEndpoint) {
        for line in endpoint.lines() {
            *self.lines.entry(line).or_default() += 1;
        }
    }

    /// Removes an endpoint that was added as it is given here.
    pub fn remove(&mut self, endpoint: &NamedEndpoint) {
        for line in endpoint.lines() {
            if let Some(count) = self.lines.get_mut(&line) {
                *count -= 1;
                if *count == 0 {
                    self.lines.remove(&line);
                }
            }
        }
    }

    /// The file's content, as [`super::NamesFile`] reads it.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let length = self.first_line.len() + self.lines.keys().map(String::len).sum::<usize>();
        let mut content = Vec::with_capacity(length);
        content.extend_from_slice(self.first_line.as_bytes());
        for line in self.lines.keys() {
            content.extend_from_slice(line.as_bytes());
        }
        content
    }
}

/// Replaces the file at `path` by one with this content; its readers see the one or the other. The exec root
/// does not outlive the host's start, so nothing is synced. Only one caller at a time may replace a file.
///
/// # Errors
/// When the directory or the file cannot be made; the old file is there as it was.
pub fn replace_names_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    // A shim that has an earlier file open keeps its inode: never write into one that was in use.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| put_in_place(Path::new(&new), path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&new);
    }
    written
}

/// An exchange of both files, since ext4 writes the content of one to the disk that is renamed to another's name (ext4(5),
/// `auto_da_alloc`). Where there is no other file, or none can be exchanged, it is renamed.
fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|present| present.is_file());
    if is_file && renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE).is_ok() {
        // The earlier one. Where it stays the next change removes it.
        let _ = fs::remove_file(new);
        return Ok(());
    }
    fs::rename(new, path)
}
