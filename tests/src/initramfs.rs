//! Writes the archive that a kernel unpacks as its first file system (cpio, format "newc").

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
}

/// The bits of a directory's mode.
const DIRECTORY: u32 = 0o040_755;
/// The bits of a program's mode.
const PROGRAM: u32 = 0o100_755;
/// The bits of a symbolic link's mode.
const LINK: u32 = 0o120_777;

impl Initramfs {
    /// Adds a directory and those above it.
    pub fn directory(&mut self, name: &str) {
        let mut path = String::new();
        for part in name.split('/').filter(|part| !part.is_empty()) {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
            self.entry(&path.clone(), DIRECTORY, b"");
        }
    }

    /// Adds a file with its directories; every file may be executed.
    pub fn file(&mut self, name: &str, bytes: &[u8]) {
        if let Some((directory, _)) = name.rsplit_once('/') {
            self.directory(directory);
        }
        self.entry(name, PROGRAM, bytes);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, name: &str, target: &str) {
        self.entry(name, LINK, target.as_bytes());
    }

    /// Adds a program of the host at a path, and the libraries it needs at theirs.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn program(&mut self, name: &str, source: &Path) {
        let bytes = fs::read(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        self.file(name, &bytes);
        let listed = Command::new("ldd").arg(source).output().expect("ldd");
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            let Some(library) = line.split_whitespace().find(|word| word.starts_with('/')) else {
                continue;
            };
            let bytes = fs::read(library).unwrap_or_else(|error| panic!("{library}: {error}"));
            self.file(library.trim_start_matches('/'), &bytes);
        }
    }

    /// Ends the archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"");
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) {
        if !self.names.insert(name.to_owned()) {
            return;
        }
        let number = self.names.len();
        let head = format!(
            "070701{number:08X}{mode:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
            0,
            0,
            1,
            0,
            bytes.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0
        );
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}
