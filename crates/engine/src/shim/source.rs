//! The source of shims: parked a moment before they are needed, or started when they are.
//!
//! ```text
//! a container starts ──▶ the parked shim gets its run directory; where none is parked, one is started
//!         └── it runs ──▶ a moment later the next shim is parked
//! no start for a while ──▶ the parked shim ends
//! ```
//!
//! A parked shim has executed and has prepared what all containers need (see the shim's own `parked`). It ends when its
//! socket is closed, so that a daemon that dies leaves none.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shim_protocol::{CONTROL_DESCRIPTOR, PARKED, PARKED_WITH_NETWORK, RunDirectory};
use tokio::sync::Notify;

use super::channel::Channel;
use super::process::Process;
use super::program::ShimProgram;

/// How long after a start the next shim is parked: the container's program and the client's answer come first.
const PAUSE: Duration = Duration::from_millis(1);

/// How long after the last start a shim stays parked.
const IDLE: Duration = Duration::from_secs(5);

/// After so many starts in a row that made a network namespace the parked shim makes one ahead. (A pod's containers are in
/// that of its sandbox: there it would be made in vain every second time.)
const ALIKE: u32 = 2;

/// The shim's name among its arguments.
const NAME: &str = "berth-shim";

/// Hexadecimal digits of a container's id, the last part of its run directory.
const ID_LENGTH: usize = 64;

/// The program of the shims, and the shim that is parked.
pub(crate) struct ShimSource {
    program: Arc<ShimProgram>,
    /// The length of a container's run directory.
    directory_length: usize,
    parked: Mutex<Option<Parked>>,
    /// A container was started.
    started: Notify,
    /// How many of the last starts were of containers with a network namespace of their own, one after the other.
    own_networks: AtomicU32,
}

/// Whether a start made a network namespace that could have been made ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewNetwork {
    /// It did.
    Made,
    /// The container is in another's or the host's, or its namespace belongs to a user namespace.
    None,
}

/// A shim that waits for its run directory.
struct Parked {
    process: Process,
    channel: Channel,
}

impl ShimSource {
    /// Starts shims of this program for containers whose run directories are in `runs`.
    pub(crate) fn new(program: Arc<ShimProgram>, runs: &Path) -> Arc<Self> {
        Arc::new(Self {
            program,
            directory_length: runs.as_os_str().len() + 1 + ID_LENGTH,
            parked: Mutex::default(),
            started: Notify::new(),
            own_networks: AtomicU32::new(0),
        })
    }

    /// Gives a shim to the container whose `spec.json` is in the run directory.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn obtain(
        &self,
        directory: &RunDirectory,
        held_mounts: &[BorrowedFd<'_>],
    ) -> io::Result<(Process, Channel)> {
        // Later daemons find the mounts under the numbers that a new process has them under.
        if held_mounts.is_empty()
            && let Some(parked) = self.lock().take()
        {
            match parked.give(directory) {
                Ok(shim) => return Ok(shim),
                Err(error) => tracing::debug!("cannot use the parked shim: {error}"),
            }
        }
        let count = held_mounts.len().to_string();
        let arguments = [OsStr::new(NAME), directory.path().as_os_str(), OsStr::new(&count)];
        self.spawn(&arguments, held_mounts)
    }

    /// A container runs: the next one will probably be like it.
    pub(crate) fn note_start(&self, network: NewNetwork) {
        match network {
            NewNetwork::Made => self.own_networks.fetch_add(1, Ordering::Relaxed),
            NewNetwork::None => self.own_networks.swap(0, Ordering::Relaxed),
        };
        self.started.notify_one();
    }

    /// Parks a shim after each start, and lets it go when no other start follows.
    pub(crate) async fn keep_parked(self: Arc<Self>) {
        loop {
            self.started.notified().await;
            loop {
                tokio::time::sleep(PAUSE).await;
                let source = Arc::clone(&self);
                let parked = tokio::task::spawn_blocking(move || source.park()).await;
                if let Ok(Err(error)) = parked {
                    tracing::debug!("cannot park a shim: {error}");
                }
                if tokio::time::timeout(IDLE, self.started.notified()).await.is_err() {
                    break;
                }
            }
            let unused = self.lock().take();
            if let Some(unused) = unused {
                unused.end();
            }
        }
    }

    /// Parks a shim unless there is one.
    fn park(&self) -> io::Result<()> {
        if self.lock().is_some() {
            return Ok(());
        }
        let kind = match self.own_networks.load(Ordering::Relaxed) >= ALIKE {
            true => PARKED_WITH_NETWORK,
            false => PARKED,
        };
        // Room for a run directory and a number of one digit, with the zeroes behind them.
        let room = " ".repeat((self.directory_length + 1).saturating_sub(kind.len()));
        let (process, channel) = self.spawn(&[OsStr::new(NAME), OsStr::new(kind), OsStr::new(&room)], &[])?;
        *self.lock() = Some(Parked { process, channel });
        Ok(())
    }

    fn spawn(&self, arguments: &[&OsStr], beside: &[BorrowedFd<'_>]) -> io::Result<(Process, Channel)> {
        let program = self.program.in_memory()?;
        let (ours, theirs) = sys::seqpacket::pair()?;
        // Before there is a process, which would have to be reaped.
        let channel = Channel::new(ours)?;
        let given: Vec<BorrowedFd<'_>> = [theirs.as_fd()].into_iter().chain(beside.iter().copied()).collect();
        let pid = program.spawn(arguments, &given, CONTROL_DESCRIPTOR)?;
        Ok((Process::child(pid), channel))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    /// Sends the shim its run directory. One that cannot go on is ended.
    fn give(self, directory: &RunDirectory) -> io::Result<(Process, Channel)> {
        let sent = match self.process.is_stopped() {
            true => Err(io::Error::other("it is stopped")),
            false => self.channel.send_now(directory.path().as_os_str().as_bytes()),
        };
        match sent {
            Ok(()) => Ok((self.process, self.channel)),
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    /// Ends the shim, and reaps it.
    fn end(self) {
        drop(self.channel);
        if self.process.is_stopped() {
            self.process.kill();
        }
        tokio::spawn(async move { self.process.reap().await });
    }
}
