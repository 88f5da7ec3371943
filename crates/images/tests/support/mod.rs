//! Archives and directories for the tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("berth-images-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a new directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The thread of a store that was closed just now may still make a file of its database.
        let mut removed = Ok(());
        for _ in 0..1000 {
            removed = berth_images::remove_tree(&self.0);
            if removed.is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        removed.expect("removed");
    }
}

/// Makes tars entry by entry, with the `tar` crate as an independent opinion.
pub struct Archive(tar::Builder<Vec<u8>>);

pub const TIME: u64 = 1_111_111_111;

impl Archive {
    pub fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn header(kind: tar::EntryType, mode: u32, size: usize) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.file_of(path, content, 0o644, 0)
    }

    pub fn file_of(mut self, path: &str, content: &[u8], mode: u32, owner: u64) -> Self {
        let mut header = Self::header(tar::EntryType::Regular, mode, content.len());
        header.set_uid(owner);
        header.set_gid(owner);
        self.raw(header, path, content);
        self
    }

    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        self.raw(Self::header(tar::EntryType::Directory, mode, 0), &format!("{path}/"), b"");
        self
    }

    pub fn link(mut self, kind: tar::EntryType, path: &str, target: &str) -> Self {
        let mut header = Self::header(kind, 0o777, 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        self.raw(header, path, b"");
        self
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.link(tar::EntryType::Symlink, path, target)
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.link(tar::EntryType::Link, path, target)
    }

    pub fn device(mut self, path: &str, major: u32, minor: u32) -> Self {
        let mut header = Self::header(tar::EntryType::Char, 0o666, 0);
        header.set_device_major(major).expect("ustar");
        header.set_device_minor(minor).expect("ustar");
        self.raw(header, path, b"");
        self
    }

    pub fn extensions(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).expect("a vector takes all");
        self
    }

    /// Any name, also one the crate would refuse.
    pub fn raw(&mut self, mut header: tar::Header, path: &str, content: &[u8]) {
        if path.len() <= 100 {
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            self.0.append(&header, content).expect("a vector takes all");
        } else {
            self.0.append_data(&mut header, path, content).expect("a vector takes all");
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("a vector takes all")
    }
}

/// The members of a tar in order, each with its content.
pub fn members(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        (entry.path().expect("a path").display().to_string(), content)
    });
    entries.collect()
}

/// Bytes that hardly compress.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

/// The same bytes in every compression.
pub fn compressed(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).expect("a vector takes all");
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(plain).expect("a vector takes all");
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).expect("xz");
    xz.write_all(plain).expect("a vector takes all");
    vec![
        ("gzip", gzip.finish().expect("gzip")),
        ("bzip2", bzip2.finish().expect("bzip2")),
        ("xz", xz.finish().expect("xz")),
        ("zstd", zstd::encode_all(plain, 1).expect("zstd")),
    ]
}

pub mod overlay;

/// Compares listings and shows the first difference.
pub fn assert_same_lines(one: &str, other: &str) {
    for (one, other) in one.lines().zip(other.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(one.lines().count(), other.lines().count());
    assert!(one.lines().count() > 10, "the listing is empty");
}
