//! Sends any signal, real-time ones included, to a process by its pidfd.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sends signal `number`, pidfd_send_signal(2).
///
/// # Errors
/// Those of the call; ESRCH when the process has ended.
pub fn send(process: impl AsFd, number: i32) -> io::Result<()> {
    let process = process.as_fd().as_raw_fd();
    let information = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open and a null siginfo is allowed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, number, information, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
