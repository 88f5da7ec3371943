//! Makes a child in new namespaces with one clone3(2); only for processes with a single thread.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The new namespaces of the child; the values are those of clone(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewNamespaces {
    /// CLONE_NEWNS.
    pub mount: bool,
    /// CLONE_NEWNET.
    pub network: bool,
    /// CLONE_NEWPID.
    pub pid: bool,
    /// CLONE_NEWIPC.
    pub ipc: bool,
    /// CLONE_NEWUTS.
    pub uts: bool,
    /// CLONE_NEWUSER: the others belong to it.
    pub user: bool,
}

impl NewNamespaces {
    const fn flags(self) -> u64 {
        let mut flags = 0;
        if self.mount {
            flags |= libc::CLONE_NEWNS as u64;
        }
        if self.network {
            flags |= libc::CLONE_NEWNET as u64;
        }
        if self.pid {
            flags |= libc::CLONE_NEWPID as u64;
        }
        if self.ipc {
            flags |= libc::CLONE_NEWIPC as u64;
        }
        if self.uts {
            flags |= libc::CLONE_NEWUTS as u64;
        }
        if self.user {
            flags |= libc::CLONE_NEWUSER as u64;
        }
        flags
    }
}

/// Moves the calling process into new namespaces, all but a pid namespace, which its children are born into.
///
/// # Errors
/// Those of unshare(2).
pub fn unshare(namespaces: NewNamespaces) -> io::Result<()> {
    let flags = libc::c_int::try_from(namespaces.flags()).map_err(io::Error::other)?;
    // SAFETY: none of these namespaces takes anything from the process that its values refer to.
    let result = unsafe { libc::unshare(flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// In which of the two processes the call returned.
#[derive(Debug)]
pub enum Cloned {
    /// In the child.
    Child,
    /// In the caller.
    Parent {
        /// The child's number in the caller's pid namespace.
        pid: u32,
        /// The child's pidfd, close-on-exec.
        pidfd: OwnedFd,
    },
}

/// CLONE_INTO_CGROUP of linux/sched.h; libc has it as an int, which it does not fit.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Copies the calling process, as fork(2), into new namespaces and, if given, a cgroup v2 directory.
///
/// # Errors
/// `ResourceBusy` when the caller has more than one thread (a copy of it could deadlock), else
/// those of clone3(2).
pub fn clone(namespaces: NewNamespaces, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let _only = OnlyThread::ascertain()?;
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is plain data for which zero is a valid value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = namespaces.flags() | libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: without CLONE_VM the child has its own copy of the memory, and there is one thread,
    // so no lock is held by a thread that the child lacks; the arguments outlive the call.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, std::mem::size_of_val(&arguments)) };
    cloned(pid, pidfd)
}

/// Copies the calling process once more, as a child of its own parent; `parent` there means sibling. The call
/// is the old clone(2), which filters can inspect; the thread was counted before one came into force.
///
/// # Errors
/// Those of clone(2).
pub fn clone_sibling(only: &OnlyThread) -> io::Result<Cloned> {
    clone_old(only, libc::CLONE_PARENT)
}

/// Copies the calling process once more, as its own child, by the old clone(2) as [`clone_sibling`] does.
///
/// # Errors
/// Those of clone(2).
pub fn clone_child(only: &OnlyThread) -> io::Result<Cloned> {
    clone_old(only, libc::SIGCHLD)
}

fn clone_old(_only: &OnlyThread, flags: libc::c_int) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let flags = flags | libc::CLONE_PIDFD;
    let stack = std::ptr::null::<libc::c_void>();
    // SAFETY: without CLONE_VM the child has its own copy of the memory and continues on the copy of this
    // stack, and there is one thread, so no lock is held by a thread that the child lacks; the kernel writes
    // the descriptor before it returns.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), stack, &raw mut pidfd, 0, 0) };
    cloned(pid, pidfd)
}

fn cloned(pid: libc::c_long, pidfd: libc::c_int) -> io::Result<Cloned> {
    match pid {
        0 => Ok(Cloned::Child),
        pid if pid > 0 => Ok(Cloned::Parent {
            pid: u32::try_from(pid).map_err(io::Error::other)?,
            // SAFETY: the kernel has just made this descriptor for us.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// That the caller has one thread: a copy of a process with several could wait for ever for a lock
/// that a thread held that the copy lacks.
#[derive(Debug)]
pub struct OnlyThread(());

impl OnlyThread {
    /// Checks with the kernel.
    ///
    /// # Errors
    /// `ResourceBusy` when there are others.
    pub fn ascertain() -> io::Result<Self> {
        // SAFETY: for a process with one thread this changes nothing, for others it fails, unshare(2).
        if unsafe { libc::unshare(libc::CLONE_VM) } == 0 {
            return Ok(Self(()));
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the process has several threads"))
    }
}

/// Makes the caller's present cgroups the roots of what it sees, CLONE_NEWCGROUP of unshare(2).
///
/// # Errors
/// Those of unshare(2).
pub fn unshare_cgroup_namespace() -> io::Result<()> {
    // SAFETY: a cgroup namespace takes nothing from the process that its values refer to.
    let result = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves a child at once, without the clean-up of the program it was copied from.
pub fn leave(code: i32) -> ! {
    // SAFETY: _exit(2) touches no memory.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused() {
        let error = clone(NewNamespaces::default(), None).expect_err("the test harness has threads");
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    }
}
