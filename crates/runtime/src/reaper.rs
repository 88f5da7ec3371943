//! The parent of a probe within the container. All that the probe leaves behind becomes its child, so that the
//! container's init, which may not reap, gets no zombies of it, and so that everything can be found and killed.
//!
//! It has the probe's user and no capability, keeps one descriptor, and ends when it has no child left. When the probe
//! has left nothing behind, its exit code is the reaper's own, so that the shim is woken once.

use std::convert::Infallible;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus};
use sys::clone::{Cloned, OnlyThread};

use crate::StartError;
use crate::capabilities;
use crate::channel::Channel;
use crate::error::Doing;
use crate::process::launch::{self, Ready};

/// Starts the program as a child and continues until all its children have ended. If others are left when the program
/// has ended, its exit code is written to `report`; if none, it is the reaper's.
pub(crate) fn run(
    ready: Ready,
    channel: &Channel,
    report: BorrowedFd<'_>,
    only: &OnlyThread,
) -> Result<Infallible, StartError> {
    let act = "starting the program beneath its reaper";
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).doing(act)?;
    rustix::process::setsid().doing(act)?;
    let child = match sys::clone::clone_child(only).doing(act)? {
        Cloned::Child => return ready.execute(channel),
        Cloned::Parent { pid, .. } => pid,
    };
    // Errors of this process have no reader any more: its child reports to the parent.
    match reduce(report) {
        Ok(()) => serve(child, report),
        // Its death is not taken for the program's exit.
        Err(_) => std::process::abort(),
    }
}

/// Gives up everything that reaping does not need.
fn reduce(report: BorrowedFd<'_>) -> Result<(), StartError> {
    let act = "giving up what the reaper does not need";
    sys::execute::close_all_but(0, &[report]).doing(act)?;
    capabilities::set(0, 0)?;
    rustix::thread::set_no_new_privs(true).doing(act)?;
    rustix::thread::set_name(c"reaper").doing(act)?;
    launch::hide_from_others()?;
    launch::die_with_parent()
}

fn serve(child: u32, report: BorrowedFd<'_>) -> ! {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if is(pid, child) => {
                let code = code(status);
                if !has_children() {
                    sys::clone::leave(code);
                }
                // A closed receiver needs no exit code.
                let _ = rustix::io::write(report, &code.to_ne_bytes());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => sys::clone::leave(0),
        }
    }
}

/// Whether anything is left, ended or not.
fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, options), Err(Errno::CHILD))
}

fn is(pid: Pid, number: u32) -> bool {
    u32::try_from(pid.as_raw_nonzero().get()) == Ok(number)
}

/// 0 to 255, or 128 + n after signal n.
pub(crate) fn code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(0)
}
