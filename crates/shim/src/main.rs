//! `berth-shim <run-directory>`: the parent of one container's processes.
//!
//! Started by the daemon with a control socket as descriptor 3, it makes the container that
//! `spec.json` describes, runs it, keeps its stdio and log, and outlives any daemon. See
//! `shim_protocol` for the conversation. One thread, one loop over epoll. A shim that is started with
//! `--parked` waits for its run directory first.

mod ahead;
mod birth;
mod checks;
mod conversation;
mod daemon;
mod end;
mod error;
mod event_loop;
mod exec;
mod execs;
mod health;
mod log;
mod name_service;
mod names;
mod parked;
mod protection;
mod records;
mod relay;
mod relaying;
mod requests;
mod session;
mod start;
mod supervisor;
mod token;

use std::process::ExitCode;

/// The exit code reports only whether the shim came to life; what became of the container is
/// in the notices and the exit record.
fn main() -> ExitCode {
    let result = birth::begin().and_then(|supervisor| match supervisor {
        Some(mut supervisor) => supervisor.run(),
        None => Ok(()),
    });
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
