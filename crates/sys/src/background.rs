//! What a process that outlives its parent does at birth.

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};

/// Leaves the parent's session, points the first three descriptors at /dev/null, takes the descriptor
/// `given` and closes all others, ignores SIGHUP, SIGPIPE and SIGTERM (who ends the service that started
/// it means the service), and adopts the orphans of its descendants. To be called once, at the start of
/// `main`.
///
/// # Errors
/// Those of the calls; a process that leads its session already is no error.
pub fn detach(given: RawFd) -> io::Result<OwnedFd> {
    // A group leader cannot make a session; then it is one that nobody else is in.
    let _ = rustix::process::setsid();
    let given = take(given)?;
    null_stdio()?;
    ignore(libc::SIGHUP)?;
    ignore(libc::SIGTERM)?;
    ignore(libc::SIGPIPE)?;
    adopt_orphans()?;
    Ok(given)
}

/// Takes a descriptor that came over execve and closes all but it and the first three.
fn take(given: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD takes a flag and fails on a descriptor that is not open.
    check(unsafe { libc::fcntl(given, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    let number = u32::try_from(given).map_err(io::Error::other)?;
    if number > 3 {
        close_range(3, number - 1)?;
    }
    close_range(number + 1, u32::MAX)?;
    // SAFETY: it is open, and nothing in the process owns it: the caller is at the start of main.
    Ok(unsafe { OwnedFd::from_raw_fd(given) })
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the caller, at the start of main, owns none of these descriptors.
    check(unsafe { libc::close_range(first, last, 0) })
}

fn null_stdio() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

fn ignore(signal: c_int) -> io::Result<()> {
    // SAFETY: SIG_IGN is a valid disposition and runs no code.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn adopt_orphans() -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a flag and changes only the calling process.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
