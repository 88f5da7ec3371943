//! A container that was made, and one that runs: what their other verbs work on.

use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;

use model::{ContainerSpec, Namespace, ProcessSpec, Signal, Statistics};

use super::known_filter::KnownFilter;
use crate::cgroup::Cgroup;
use crate::cgroup::freezer::FreezerState;
use crate::channel::Channel;
use crate::root::host_devices::Node;
use crate::{CgroupError, Host, Process};

/// A container whose init makes its mounts and then waits at the gate. Dropped, it is undone.
#[derive(Debug)]
pub struct Created {
    pub(super) running: Running,
    pub(super) channel: Channel,
    pub(super) network_namespace: Option<OwnedFd>,
    /// Nodes of the host's devices, until the cgroup allows them.
    pub(super) devices: Option<Vec<Node>>,
}

/// A container whose init runs its program. Dropped without [`Running::destroy`], it is killed and
/// its cgroup removed.
#[derive(Debug)]
pub struct Running {
    pub(super) host: Host,
    pub(super) spec: ContainerSpec,
    pub(super) init: Process,
    pub(super) cgroup: Cgroup,
    /// The cgroup's directory of v2, where the host has it: every process of the container is born into it.
    pub(super) birthplace: Option<OwnedFd>,
    /// Open since the first read: health checks read it before every probe.
    pub(super) freezer: OnceCell<FreezerState>,
    pub(super) filter: KnownFilter,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) is_destroyed: Cell<bool>,
}

/// A further process that runs in a container.
#[derive(Debug)]
pub struct Exec {
    /// The process, a child of the caller.
    pub process: Process,
    /// The master of its terminal, with [`crate::Stdio::Terminal`].
    pub terminal: Option<OwnedFd>,
}

/// A process beneath a reaper.
#[derive(Debug)]
pub struct Probe {
    /// The process's parent, a child of the caller: it ends when all descendants of the process have ended. Its exit
    /// code is the process's, unless that was sent to `end` before; a reaper that a signal ended has none.
    pub reaper: Process,
    /// Gives the process's exit code if it has left others behind, four bytes in the host's order, and its end when
    /// the reaper has ended.
    pub end: OwnedFd,
}

/// The request for a further process.
#[derive(Debug, Clone, Copy)]
pub struct ExecRequest<'a> {
    /// Its program, user, environment and limits.
    pub process: &'a ProcessSpec,
    /// All capabilities and no seccomp filter.
    pub privileged: bool,
}

impl Running {
    /// Init; poll its descriptor for the exit.
    #[must_use]
    pub const fn init(&self) -> &Process {
        &self.init
    }

    /// The container's cgroup.
    #[must_use]
    pub const fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Whether the container's processes are frozen or about to be, wherever that came from.
    ///
    /// # Errors
    /// When the cgroup cannot be read.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        if let Some(state) = self.freezer.get() {
            return state.is_frozen();
        }
        let state = self.cgroup.freezer_state()?;
        let is_frozen = state.is_frozen();
        let _ = self.freezer.set(state);
        is_frozen
    }

    /// Takes the terminal's master; `None` without a terminal or when already taken.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Sends a signal to init. SIGKILL kills every process of the container, frozen or not.
    ///
    /// # Errors
    /// Those of the kernel; a container that has ended is no error.
    pub fn signal(&self, signal: Signal) -> Result<(), CgroupError> {
        let act = || format!("sending signal {}", signal.number());
        self.init.signal(signal).map_err(|source| CgroupError::new(act(), source))?;
        if signal == Signal::KILL { self.cgroup.kill_once() } else { Ok(()) }
    }

    /// Reads the counters of the cgroup and of the container's interfaces.
    ///
    /// # Errors
    /// When a file of the cgroup cannot be read.
    pub fn statistics(&self) -> Result<Statistics, CgroupError> {
        let mut statistics = self.cgroup.statistics()?;
        if self.spec.namespaces.network != Namespace::Host {
            statistics.interfaces = crate::counters::interfaces(&self.host, self.init.reference.pid);
        }
        Ok(statistics)
    }

    /// Kills what is left of the container. Init must have been waited for; call it once after that and before the exit
    /// is reported. May be called again.
    ///
    /// # Errors
    /// When the cgroup cannot be emptied.
    pub fn end(&self) -> Result<(), CgroupError> {
        self.is_destroyed.set(true);
        self.cgroup.kill()
    }

    /// Removes the cgroup of a container of which nothing is left.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_cgroup(&self) -> Result<(), CgroupError> {
        self.cgroup.remove()
    }

    /// Kills what is left of the container and removes its cgroup: [`Self::end`], then [`Self::remove_cgroup`].
    ///
    /// # Errors
    /// When the cgroup cannot be emptied or removed.
    pub fn destroy(&self) -> Result<(), CgroupError> {
        self.end()?;
        self.remove_cgroup()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_destroyed.get() {
            return;
        }
        // The error cannot be reported any more; the next sweep finds what resists.
        let _ = self.init.signal(Signal::KILL);
        let _ = self.cgroup.kill();
        self.init.kill_and_reap();
        let _ = self.cgroup.remove();
    }
}
