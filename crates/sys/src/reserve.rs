//! Gives a file room on its disk before it needs it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Keeps `bytes` of the disk for a file, made if it is missing, without changing its size: what is written
/// within them later finds room on a full disk. A file system that cannot do this does nothing.
///
/// # Errors
/// Those of open(2) and fallocate(2); [`io::ErrorKind::StorageFull`] when there is no room any more.
pub fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn room_is_kept_and_nothing_else_changes() {
        let path = std::env::temp_dir().join(format!("berth-reserve-{}", std::process::id()));
        std::fs::write(&path, "content").expect("a file");
        reserve(&path, 1 << 20).expect("room");
        let found = std::fs::metadata(&path).expect("it");
        assert_eq!(std::fs::read(&path).expect("it"), b"content");
        assert!(found.blocks() * 512 >= 1 << 20, "{} blocks", found.blocks());
        std::fs::remove_file(&path).expect("the file to go");
    }
}
