//! Network namespaces of single threads, network_namespaces(7).

use std::io;
use std::os::fd::BorrowedFd;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Gives the calling thread a new, empty network namespace. It lasts as long as something is in
/// it or holds it; sockets stay in the namespace in which they were opened.
///
/// # Errors
/// Those of unshare(2): root only.
pub fn unshare() -> io::Result<()> {
    // SAFETY: CLONE_NEWNET touches no memory and only the calling thread's view of the network.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Moves the calling thread into the network namespace.
///
/// # Errors
/// Those of setns(2): root only.
pub fn join(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
}
