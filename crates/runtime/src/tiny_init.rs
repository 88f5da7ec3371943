//! The small init of `HostConfig.Init`: PID 1 that starts the program, passes signals on and reaps.
//! In a pid namespace that is not the container's own it adopts orphans as a subreaper.
//!
//! It keeps no descriptor and no capability but that of sending signals. A container without a program has this init
//! alone: it holds the namespaces of a pod, and reaps where the pod's containers share its processes.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use sys::clone::{Cloned, NewNamespaces};
use sys::process_title::ProcessTitle;

use crate::StartError;
use crate::capabilities;
use crate::channel::Channel;
use crate::error::Doing;
use crate::process::launch::{self, Launch, Streams};
use crate::reaper::code;

/// Signals about children and stops; they are not for the program.
const CHILD_SIGNALS: [i32; 3] = [17, 21, 22];

/// Starts the program as a child and ends as it ends.
pub(crate) fn run(
    launch: Launch<'_>,
    streams: Streams,
    title: Option<ProcessTitle>,
) -> Result<Infallible, StartError> {
    let act = "starting the program beneath the init";
    let own = rustix::process::getpid();
    if !own.is_init() {
        rustix::process::set_child_subreaper(Some(own)).doing(act)?;
    }
    sys::init_signals::block_all().doing(act)?;
    let (pid, process) = match sys::clone::clone(NewNamespaces::default(), None).doing(act)? {
        Cloned::Child => return launch.run(streams),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let program = launch.process.arguments.iter().map(OsStr::new);
    show(title, &[INIT, "--"].into_iter().map(OsStr::new).chain(program).collect::<Vec<_>>());
    // Errors of this process have no reader any more: its child reports to the parent.
    match reduce(launch.capabilities, &[process.as_fd()]) {
        Ok(()) => {
            give_memory_back();
            serve(pid, process.as_fd())
        }
        Err(_) => sys::clone::leave(128),
    }
}

/// The name of Docker's init, before a program.
const INIT: &str = "/sbin/docker-init";

/// The name of the first process in a pod's shared pid namespace (Kubernetes, `shareProcessNamespace`).
const PAUSE: &str = "/pause";

/// Shows the container these arguments, not those of the process that this one was cloned from. Only people and their
/// ps(1) read them.
fn show(title: Option<ProcessTitle>, arguments: &[&OsStr]) {
    let _ = title.map(|title| title.replace(arguments));
}

/// Signals that end an init without a program: SIGHUP, SIGINT, SIGQUIT, SIGTERM.
const ENDING_SIGNALS: [i32; 4] = [1, 2, 3, 15];

/// Waits without a program until a signal ends it, and reaps meanwhile.
pub(crate) fn hold(channel: &Channel, title: Option<ProcessTitle>) -> Result<Infallible, StartError> {
    let act = "starting the init";
    sys::init_signals::block_all().doing(act)?;
    rustix::process::setsid().doing(act)?;
    show(title, &[OsStr::new(PAUSE)]);
    channel.executing().doing("reporting to the parent")?;
    // The channel's end reports that it runs; errors of this process have no reader any more.
    if reduce(0, &[]).is_err() {
        sys::clone::leave(128);
    }
    give_memory_back();
    loop {
        match sys::init_signals::take() {
            Ok(number) if ENDING_SIGNALS.contains(&number) => sys::clone::leave(0),
            Ok(_) => {}
            Err(_) => sys::clone::leave(128),
        }
        while reap().is_some() {}
    }
}

/// Gives up everything that passing signals on does not need.
fn reduce(held: capabilities::Mask, kept: &[BorrowedFd<'_>]) -> Result<(), StartError> {
    let act = "giving up what the init does not need";
    sys::execute::close_all_but(0, kept).doing(act)?;
    capabilities::limit_bounding_set(0)?;
    let kill = capabilities::KILL & held;
    capabilities::set(kill, kill)?;
    rustix::thread::set_no_new_privs(true).doing(act)?;
    rustix::thread::set_name(c"init").doing(act)?;
    launch::hide_from_others()?;
    launch::die_with_parent()
}

/// Frees the memory that building the root took: an init runs long and needs next to nothing. A failure only wastes memory.
fn give_memory_back() {
    let _ = sys::memory::give_back();
}

fn serve(child: u32, process: BorrowedFd<'_>) -> ! {
    loop {
        match sys::init_signals::take() {
            Ok(number) if CHILD_SIGNALS.contains(&number) => {}
            // A child that has just ended is reaped in a moment.
            Ok(number) => drop(sys::signal::send(process, number)),
            Err(_) => sys::clone::leave(128),
        }
        while let Some((pid, status)) = reap() {
            if u32::try_from(pid.as_raw_nonzero().get()) == Ok(child) {
                sys::clone::leave(code(status));
            }
        }
    }
}

fn reap() -> Option<(Pid, WaitStatus)> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Err(Errno::INTR) => {}
            other => return other.ok().flatten(),
        }
    }
}
