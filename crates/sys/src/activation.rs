//! Descriptors that a service manager passed to this process.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes `count` inherited descriptors from `first` on, with their numbers; those that are not
/// open are left out. Each is closed on execution from now on.
///
/// Only the first call gives anything. The service manager guarantees that the numbers were open
/// before this process opened descriptors of its own.
#[must_use]
pub fn take_descriptors(first: RawFd, count: i32) -> Vec<(RawFd, OwnedFd)> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    (first..first.saturating_add(count))
        .filter_map(|number| {
            // SAFETY: F_SETFD touches no memory; a number that is not open gives EBADF.
            let open = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
            // SAFETY: the number is open, and as it was inherited, this process does not own it yet.
            open.then(|| (number, unsafe { OwnedFd::from_raw_fd(number) }))
        })
        .collect()
}
