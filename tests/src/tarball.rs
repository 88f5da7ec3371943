//! Tar archives as the tests write and read them.

use std::collections::BTreeMap;
use std::io::Read;

use crate::rootfs;

/// The media type of archives.
pub const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

/// Every way in which an archive may be compressed: the program and its arguments.
pub const COMPRESSIONS: [(&str, &[&str]); 5] =
    [("cat", &[]), ("gzip", &["-c"]), ("bzip2", &["-c"]), ("xz", &["-c"]), ("zstd", &["-c", "--quiet"])];

/// One entry that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: tar::EntryType,
    /// Permission bits.
    pub mode: u32,
    /// Numbers of user and group.
    pub owner: (u64, u64),
    /// Where a link leads.
    pub link: Option<String>,
    /// Seconds since 1970.
    pub time: u64,
    /// Its extended attributes.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// Its bytes, holes filled.
    pub content: Vec<u8>,
}

/// Reads an archive; names are without a slash at the end.
///
/// # Panics
/// When it is not an archive.
#[must_use]
pub fn entries(archive: &[u8]) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let attributes = attributes(&mut entry);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        let header = entry.header();
        let read = Entry {
            kind: header.entry_type(),
            mode: header.mode().expect("a mode"),
            owner: (header.uid().expect("a user"), header.gid().expect("a group")),
            link: entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned()),
            time: header.mtime().expect("a time"),
            attributes,
            content,
        };
        let name = if name == "/" { name.as_str() } else { name.trim_end_matches('/') };
        found.insert(name.to_owned(), read);
    }
    found
}

fn attributes(entry: &mut tar::Entry<'_, &[u8]>) -> BTreeMap<String, Vec<u8>> {
    let extensions = entry.pax_extensions().expect("extensions");
    let all = extensions.into_iter().flatten().filter_map(Result::ok);
    all.filter_map(|extension| {
        let name = extension.key().ok()?.strip_prefix("SCHILY.xattr.")?.to_owned();
        Some((name, extension.value_bytes().to_vec()))
    })
    .collect()
}

/// The names of an archive.
#[must_use]
pub fn names(archive: &[u8]) -> Vec<String> {
    entries(archive).into_keys().collect()
}

/// An archive of files and, for names that end in `/`, directories.
///
/// # Panics
/// When a name does not fit.
#[must_use]
pub fn of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        if name.ends_with('/') {
            rootfs::append(&mut archive, name, tar::EntryType::Directory, 0o755, b"");
        } else {
            rootfs::append(&mut archive, name, tar::EntryType::Regular, 0o640, content.as_bytes());
        }
    }
    archive.into_inner().expect("the archive's end")
}

/// An archive of one entry whose name and link are written as they are, however hostile.
///
/// # Panics
/// When they do not fit into a header.
#[must_use]
pub fn raw(kind: tar::EntryType, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(u64::try_from(content.len()).expect("a length"));
    let bytes = header.as_mut_bytes();
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

/// Ends an archive of [`raw`] parts.
#[must_use]
pub fn joined(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = pieces.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}
