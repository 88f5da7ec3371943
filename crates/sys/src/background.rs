//! The first steps of a process that outlives its parent.

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};

/// Leaves the parent's session, points the first three descriptors at /dev/null, takes `count` descriptors from number
/// `first` on and closes all others, ignores SIGHUP, SIGPIPE and SIGTERM (stopping the service that started it must not
/// end it), and adopts the orphans of its descendants. To be called once, at the start of `main`.
///
/// # Errors
/// Those of the calls; a process that leads its session already is not an error.
pub fn detach(first: RawFd, count: usize) -> io::Result<Vec<OwnedFd>> {
    // A group leader cannot make a session; then it is alone in one already.
    let _ = rustix::process::setsid();
    let given = take(first, count)?;
    null_stdio()?;
    ignore(libc::SIGHUP)?;
    ignore(libc::SIGTERM)?;
    ignore(libc::SIGPIPE)?;
    adopt_orphans()?;
    Ok(given)
}

/// Takes descriptors that came over execve and closes all but them and the first three.
fn take(first: RawFd, count: usize) -> io::Result<Vec<OwnedFd>> {
    let behind = first + RawFd::try_from(count).map_err(io::Error::other)?;
    for given in first..behind {
        // SAFETY: F_SETFD takes a flag and fails on a descriptor that is not open.
        check(unsafe { libc::fcntl(given, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    let number = u32::try_from(first).map_err(io::Error::other)?;
    if number > 3 {
        close_range(3, number - 1)?;
    }
    close_range(u32::try_from(behind).map_err(io::Error::other)?, u32::MAX)?;
    // SAFETY: they are open, and nothing in the process owns them: the caller is at the start of main.
    Ok((first..behind).map(|given| unsafe { OwnedFd::from_raw_fd(given) }).collect())
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
