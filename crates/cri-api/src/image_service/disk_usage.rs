//! The disk usage of layers. A layer never changes: each is measured once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::Timestamp;

use crate::time::nanoseconds;
use crate::wire::image::{FilesystemIdentifier, FilesystemUsage};
use crate::wire::value::UInt64Value;

/// The unit of `st_blocks`, stat(2).
const BLOCK: u64 = 512;

/// The usage of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    bytes: u64,
    inodes: u64,
}

/// Measures the layers, and keeps what it found.
#[derive(Debug, Default)]
pub(super) struct DiskUsage {
    kept: Mutex<HashMap<OsString, Taken>>,
}

impl DiskUsage {
    /// The usage of the layers of the store in this directory.
    pub(super) fn measure(&self, root: &Path) -> io::Result<FilesystemUsage> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut *kept);
        for layer in fs::read_dir(root.join("layers"))? {
            let layer = layer?;
            let name = layer.file_name();
            let taken = known.get(&name).copied().unwrap_or_else(|| tree(layer.path()));
            kept.insert(name, taken);
        }
        let total = kept.values().fold(Taken::default(), |sum, layer| Taken {
            bytes: sum.bytes + layer.bytes,
            inodes: sum.inodes + layer.inodes,
        });
        Ok(FilesystemUsage {
            timestamp: nanoseconds(Timestamp::now()),
            fs_id: Some(FilesystemIdentifier { mountpoint: root.display().to_string() }),
            used_bytes: Some(UInt64Value { value: total.bytes }),
            inodes_used: Some(UInt64Value { value: total.inodes }),
        })
    }
}

/// The usage of a directory and all in it. Files that are removed meanwhile, or cannot be reached, count
/// nothing.
fn tree(root: PathBuf) -> Taken {
    let mut taken = Taken::default();
    let mut waiting = vec![root];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        // A file with several names takes its blocks once.
        let names = if metadata.is_dir() { 1 } else { metadata.nlink().max(1) };
        taken.bytes += metadata.blocks() * BLOCK / names;
        taken.inodes += 1;
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_summed_and_forgotten_when_they_go() {
        let root = std::env::temp_dir().join(format!("berth-cri-usage-{}", std::process::id()));
        let layer = root.join("layers/one/diff");
        fs::create_dir_all(&layer).expect("a layer");
        fs::write(layer.join("file"), vec![7; 8192]).expect("a file");
        let usage = DiskUsage::default();
        let of = |usage: &DiskUsage| {
            let measured = usage.measure(&root).expect("measured");
            (measured.used_bytes.expect("bytes").value, measured.inodes_used.expect("inodes").value)
        };
        let (bytes, inodes) = of(&usage);
        assert!(bytes >= 8192 && inodes == 3, "{bytes} {inodes}");
        fs::remove_dir_all(root.join("layers/one")).expect("removed");
        assert_eq!(of(&usage), (0, 0));
        fs::remove_dir_all(&root).expect("cleared");
    }
}
