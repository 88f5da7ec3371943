//! Reports the end of a child by a descriptor: SIGCHLD through signalfd(2); and reaps strangers.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// Has ended children wait for their parent, as they do by default: a parent that was started with SIGCHLD ignored
/// cannot read exits.
///
/// # Errors
/// Those of sigaction(2).
pub fn keep_ended_children() -> io::Result<()> {
    // SAFETY: SIG_DFL is no function that could run.
    match unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Readable when a child of the process may have ended.
#[derive(Debug)]
pub struct ChildSignal(OwnedFd);

impl ChildSignal {
    /// Blocks SIGCHLD for the calling thread and opens the descriptor. Children inherit the blocked signal: a
    /// program to be started must unblock it first.
    ///
    /// # Errors
    /// When the kernel has no descriptors left.
    pub fn open() -> io::Result<Self> {
        keep_ended_children()?;
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the pointer is valid for a write; sigemptyset initialises the set.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: the set is initialised and SIGCHLD is a signal.
        unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD) };
        // SAFETY: the set is initialised; a null old set is allowed.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) })?;
        // SAFETY: the set is initialised; -1 makes a new descriptor.
        let raw = check(unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: the descriptor is new and has no other owner.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// Discards the signals that came so far: of SIGCHLD no more than one waits, signal(7).
    pub fn clear(&self) {
        let mut space = [0_u8; size_of::<libc::signalfd_siginfo>()];
        let _ = rustix::io::read(&self.0, &mut space[..]);
    }
}

impl AsFd for ChildSignal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reaps children that ended and that `known` does not claim: orphans that the process adopted. Stops at the
/// first that is claimed.
pub fn reap_strangers(known: impl Fn(u32) -> bool) {
    while let Some(pid) = ended_child().filter(|pid| !known(*pid)) {
        crate::program::reap(pid);
    }
}

/// A child that has ended and is not reaped yet; it stays so.
fn ended_child() -> Option<u32> {
    let mut information = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is valid for a write of one siginfo_t.
    check(unsafe { libc::waitid(libc::P_ALL, 0, information.as_mut_ptr(), options) }).ok()?;
    // SAFETY: zeroed and perhaps filled by the kernel; all its fields are plain numbers.
    let information = unsafe { information.assume_init() };
    // SAFETY: after waitid the fields of SIGCHLD are the valid ones; zero means no child ended.
    let pid = unsafe { information.si_pid() };
    u32::try_from(pid).ok().filter(|pid| *pid != 0)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
