//! The shim that an earlier daemon started, found by the run directory alone: before the engine can take its container
//! over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use model::ProcessReference;
use shim_protocol::{RunDirectory, ShimProcesses};
use sys::bounded_read;

use super::process::Process;

/// The longest record that a shim leaves in its run directory: a few names of cgroups.
pub(crate) const RECORD_LIMIT: u64 = 1 << 20;

/// A shim that runs.
pub(crate) struct FoundShim {
    pub(super) process: Process,
    /// The connection to it, if one could be made.
    pub(super) socket: Option<OwnedFd>,
}

impl FoundShim {
    /// Connects to the shim of a run directory; `None` when it has ended. Blocks shortly.
    pub(crate) fn look(directory: &RunDirectory) -> Option<Self> {
        let socket = connect(directory).ok();
        let left = left_by(directory).map(|left| left.shim);
        // Where what it wrote cannot be read, or it has not written it, it may listen all the same.
        let reference = left.or_else(|| listener(socket.as_ref()?))?;
        let listening = socket.as_ref().and_then(|socket| Process::listening(socket.as_fd(), reference));
        Some(Self { process: listening.or_else(|| Process::other(reference))?, socket })
    }
}

/// The process that listens at the other end.
fn listener(socket: &OwnedFd) -> Option<ProcessReference> {
    let pid = sys::seqpacket::listener(socket).ok()?;
    Some(ProcessReference { pid, start_time: sys::process::start_time(pid)? })
}

/// The shim's process, as it wrote it down or as it listens.
pub(crate) fn process_of(directory: &RunDirectory) -> Option<ProcessReference> {
    left_by(directory).map(|left| left.shim).or_else(|| listener(&connect(directory).ok()?))
}

/// Connects to a shim without waiting.
pub(super) fn connect(directory: &RunDirectory) -> io::Result<OwnedFd> {
    sys::seqpacket::connect_nonblocking(&directory.socket())
}

/// A shim's record of itself and its container.
pub(crate) fn left_by(directory: &RunDirectory) -> Option<ShimProcesses> {
    serde_json::from_slice(&bounded_read::read_own(&directory.processes(), RECORD_LIMIT).ok()?).ok()
}
