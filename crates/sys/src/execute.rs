//! The last steps of a child before it becomes another program.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Replaces the calling process by a program. Returns only on failure.
#[must_use]
pub fn execute(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let arguments = pointers(arguments);
    let environment = pointers(environment);
    // SAFETY: the path and both null-ended arrays of strings outlive the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Marks all descriptors from `first` on as closed by the next execve.
///
/// # Errors
/// Those of close_range(2).
pub fn close_on_execute_from(first: u32) -> io::Result<()> {
    close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int)
}

/// Closes all descriptors from `first` on but these.
///
/// Descriptors that values of this process own are closed under them: only for a process that
/// uses none of them any more and ends by [`execute`] or [`crate::clone::leave`].
///
/// # Errors
/// Those of close_range(2).
pub fn close_all_but(first: u32, kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = kept.iter().map(|kept| kept.as_raw_fd().unsigned_abs()).collect();
    numbers.sort_unstable();
    let mut next = first;
    for number in numbers {
        if number > next {
            close_range(next, number - 1, 0)?;
        }
        next = next.max(number + 1);
    }
    close_range(next, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: close_range(2) takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `struct sigaction` as the kernel has it on x86-64.
#[repr(C)]
struct SignalAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Gives every signal its default action and blocks none.
pub fn reset_signals() {
    let default = SignalAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    for number in 1..=64 {
        // The C library would refuse the two signals that it keeps for itself.
        // SAFETY: the default action refers to no code; SIGKILL and SIGSTOP are refused, as they should.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, std::ptr::null::<()>(), 8)
        };
    }
    // SAFETY: sigset_t is plain data, initialised by sigemptyset.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: the set is initialised and the old one is not requested.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Gives the caller a new session keyring of this name, keyctl(2).
///
/// # Errors
/// `Unsupported` when the kernel has no keyrings, else those of KEYCTL_JOIN_SESSION_KEYRING.
pub fn join_session_keyring(name: &CStr) -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: the name outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Installs a seccomp filter for the calling thread and all that comes from it, seccomp(2).
///
/// # Errors
/// Those of SECCOMP_SET_MODE_FILTER.
pub fn install_filter(program: &[FilterInstruction], flags: FilterFlags) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    let flags = if flags.log { libc::SECCOMP_FILTER_FLAG_LOG } else { 0 }
        | if flags.speculation_allowed { libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW } else { 0 };
    // SAFETY: the instructions have the layout of sock_filter and outlive the call, which only reads.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Flags of [`install_filter`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterFlags {
    /// SECCOMP_FILTER_FLAG_LOG.
    pub log: bool,
    /// SECCOMP_FILTER_FLAG_SPEC_ALLOW.
    pub speculation_allowed: bool,
}

/// One instruction of classic BPF, `struct sock_filter` of linux/filter.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FilterInstruction {
    /// Its operation.
    pub code: u16,
    /// Instructions to skip when a comparison is true…
    pub jump_true: u8,
    /// …and when it is false.
    pub jump_false: u8,
    /// Its operand.
    pub operand: u32,
}
