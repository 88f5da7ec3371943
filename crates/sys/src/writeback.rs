//! Sends a file's data on its way to disk.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Starts to write a file's unwritten data and does not wait for it: fsync(2) does, later. What is no regular file
/// has nothing to be written ahead.
///
/// # Errors
/// Those of sync_file_range(2).
pub fn start(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes numbers alone, and the descriptor is open as long as `file` lives.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(()),
        error if matches!(error.raw_os_error(), Some(libc::ESPIPE | libc::EINVAL)) => Ok(()),
        error => Err(error),
    }
}
