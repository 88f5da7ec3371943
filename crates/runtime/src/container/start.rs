//! Opens the gate of a created container, and undoes one that is not started.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use model::{InterfaceConfig, ProcessReference, Signal};

use super::{Created, Running};
use crate::StartError;
use crate::cgroup::Cgroup;
use crate::channel::{Channel, Command, Report};
use crate::error::Doing;

impl Created {
    /// Init's number on the host and when it started.
    #[must_use]
    pub const fn init(&self) -> ProcessReference {
        self.running.init.reference()
    }

    /// The container's network namespace, when it has one of its own.
    #[must_use]
    pub fn network_namespace(&self) -> Option<BorrowedFd<'_>> {
        self.network_namespace.as_ref().map(AsFd::as_fd)
    }

    /// The container's cgroup.
    #[must_use]
    pub const fn cgroup(&self) -> &Cgroup {
        &self.running.cgroup
    }

    /// Gives the container's cgroup its limits and devices, unless it has them: they are in force before the gate opens.
    ///
    /// # Errors
    /// [`StartError`] when the kernel refuses one; everything made is undone then.
    pub fn limit(mut self) -> Result<Self, StartError> {
        let Some(devices) = self.devices.take() else { return Ok(self) };
        match self.running.cgroup.limit(&self.running.spec, &devices) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.own_words(error.into())),
        }
    }

    /// Opens the gate: init enters its cgroup, configures its interface, drops its privileges and executes the program.
    /// Returns when the program runs.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client; everything made is undone then.
    pub fn start(self, interface: Option<&InterfaceConfig>) -> Result<Running, StartError> {
        let mut created = self.limit()?;
        let command = Command::Start(interface.cloned());
        if let Err(error) = created.channel.command(&command).doing("telling the child to start") {
            return Err(created.own_words(error));
        }
        let mut gifts = Gifts::default();
        await_program(&created.channel, &mut gifts, Instant::now() + START_TIMEOUT)?;
        created.running.terminal = gifts.terminal;
        Ok(created.running)
    }

    /// The reason why the container cannot go on: what the child has reported, since the parent's error
    /// may only be that the child is gone; the parent's error where the child has reported nothing.
    pub(super) fn own_words(self, error: StartError) -> StartError {
        // Without it a healthy child would go on and be waited for.
        let _ = self.running.init.signal(Signal::KILL);
        let reported =
            await_program(&self.channel, &mut Gifts::default(), Instant::now() + START_TIMEOUT).err();
        reported.filter(|reported| !reported.is_lost()).unwrap_or(error)
    }
}

/// How long a child may take from the start to its program. Mounts of slow file systems take seconds;
/// what takes longer than this hangs, and the caller must not hang with it.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The descriptors that a child sent to its parent.
#[derive(Debug, Default)]
pub(super) struct Gifts {
    /// The terminal's master.
    pub(super) terminal: Option<OwnedFd>,
    /// The process of an exec: its number and its pidfd.
    pub(super) born: Option<(u32, OwnedFd)>,
}

/// Reads what the child reports until it, or the process that it made, has become the program. Each gift
/// is taken once.
pub(super) fn await_program(
    channel: &Channel,
    gifts: &mut Gifts,
    deadline: Instant,
) -> Result<(), StartError> {
    let act = "waiting for the program";
    let ended = channel.wait_for_end(deadline).doing(act);
    let mut is_executing = false;
    while let Some((report, descriptor)) = channel.report().doing(act)? {
        match (report, descriptor) {
            (Report::Terminal, Some(master)) if gifts.terminal.is_none() => gifts.terminal = Some(master),
            (Report::Born(pid), Some(pidfd)) if gifts.born.is_none() => gifts.born = Some((pid, pidfd)),
            (Report::Terminal | Report::Born(_), _) => {}
            (Report::Executing, _) => is_executing = true,
            (Report::Failed { failure, message }, _) => return Err(StartError::words(failure, message)),
        }
    }
    ended?;
    if is_executing { Ok(()) } else { Err(StartError::lost()) }
}
