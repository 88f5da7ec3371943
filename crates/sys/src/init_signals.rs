//! Signals as an init takes them: all blocked, then waited for one by one.

use std::io;
use std::mem::MaybeUninit;

/// Blocks every signal for the calling thread; children inherit that.
///
/// # Errors
/// Those of sigprocmask(2).
pub fn block_all() -> io::Result<()> {
    let set = full_set();
    // SAFETY: the set is initialised and the old one is not requested.
    let result = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for a blocked signal and takes it; returns its number.
///
/// # Errors
/// Those of sigwaitinfo(2); an interruption only begins the wait again.
pub fn take() -> io::Result<i32> {
    let set = full_set();
    loop {
        // SAFETY: the set is initialised and no details are requested.
        let number = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        if number > 0 {
            return Ok(number);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn full_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is valid for a write.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: sigfillset has initialised it.
    unsafe { set.assume_init() }
}
