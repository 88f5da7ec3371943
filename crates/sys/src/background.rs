//! What a process that outlives its parent does at birth.

use std::ffi::c_int;
use std::io;

use rustix::fs::{Mode, OFlags};

/// Leaves the parent's session, closes every descriptor from `first_closed` on, points the first three
/// at /dev/null, ignores SIGHUP and SIGPIPE, and adopts the orphans of its descendants.
///
/// # Errors
/// Those of the calls; a process that leads its session already is no error.
pub fn detach(first_closed: u32) -> io::Result<()> {
    // A group leader cannot make a session; then it is one that nobody else is in.
    let _ = rustix::process::setsid();
    close_from(first_closed)?;
    null_stdio()?;
    ignore(libc::SIGHUP)?;
    ignore(libc::SIGPIPE)?;
    adopt_orphans()
}

fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the caller, at its birth, owns no descriptor from `first` on.
    check(unsafe { libc::close_range(first, u32::MAX, 0) })
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
