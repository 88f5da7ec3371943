//! Files mapped into memory for reading, mmap(2).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::slice;

/// A file's content in memory, which all processes share that map it.
#[derive(Debug)]
pub struct MappedFile {
    /// `None` for an empty file, which cannot be mapped.
    content: Option<(NonNull<u8>, usize)>,
}

impl MappedFile {
    /// Maps a file of at most `limit` bytes. The file must be one whose content never changes and that is
    /// never cut: one that is replaced by rename(2) alone, in a directory that only root writes to. What is
    /// mapped keeps the file's inode from being used for another.
    ///
    /// # Errors
    /// `InvalidData` when it is longer; those of mmap(2).
    pub fn map(file: &File, limit: usize) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if length > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is longer than allowed"));
        }
        if length == 0 {
            return Ok(Self { content: None });
        }
        // SAFETY: the kernel chooses the place, and the descriptor is open.
        let address = unsafe {
            libc::mmap(ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { content: Some((address, length)) })
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self.content {
            // SAFETY: the mapping is of this length and lives as long as `self`; its content does not change.
            Some((address, length)) => unsafe { slice::from_raw_parts(address.as_ptr(), length) },
            None => &[],
        }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        if let Some((address, length)) = self.content {
            // SAFETY: nothing borrows the mapping any more.
            unsafe { libc::munmap(address.as_ptr().cast(), length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_as_it_was_when_another_takes_its_place() {
        let path = std::env::temp_dir().join(format!("berth-mapped-{}", std::process::id()));
        std::fs::write(&path, "first").expect("written");
        let file = File::open(&path).expect("opened");
        let mapped = MappedFile::map(&file, 5).expect("mapped");
        drop(file);
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, "").expect("written");
        assert_eq!(mapped.bytes(), b"first");
        let empty = MappedFile::map(&File::open(&path).expect("opened"), 5).expect("mapped");
        assert_eq!(empty.bytes(), b"");
        std::fs::write(&path, "longer").expect("written");
        let error = MappedFile::map(&File::open(&path).expect("opened"), 5).expect_err("too long");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
