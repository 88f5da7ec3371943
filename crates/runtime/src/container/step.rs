//! Starts a process that has a root and namespaces of its own, in the cgroups and the network of a container that runs.
//!
//! ```text
//! caller ──clone──→ process: builds what it sees as a container's init does, enters the container's cgroups, executes
//! ```

use std::os::fd::AsFd;
use std::time::Instant;

use model::{ContainerSpec, ProcessReference};
use sys::clone::Cloned;

use super::start::{Gifts, START_TIMEOUT, await_program};
use super::{Exec, Running};
use crate::channel::{Channel, Command};
use crate::child::Birth;
use crate::error::Doing;
use crate::namespaces::{Joined, new_namespaces};
use crate::process::launch;
use crate::{FailureKind, Process, StartError, Stdio, label};

impl Running {
    /// Starts a process that is to this container what a container is to its host: it sees its own root, processes, mounts and
    /// names alone. What it may use is limited by this container's cgroups. When it has ended, nothing that it started is left.
    ///
    /// The specification names no devices, no mount that others hold, no user namespace and no network of its own.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client. Nothing is left behind then.
    pub fn step(&self, spec: &ContainerSpec, stdio: Stdio) -> Result<Exec, StartError> {
        if self.is_frozen()? {
            return Err(StartError::words(FailureKind::System, "the container is paused"));
        }
        launch::hide_from_others()?;
        label::check(spec)?;
        let stdio = stdio.above_standard().doing("preparing the standard streams")?;
        let joined = Joined::open(&self.host, spec, None)?;
        let (ours, theirs) = Channel::pair().doing("making a socket pair")?;
        let guard = joined.direct_children()?;
        let birthplace = self.birthplace.as_ref().map(AsFd::as_fd);
        let cloned = sys::clone::clone(new_namespaces(spec, &joined), birthplace);
        let (pid, pidfd) = match cloned.doing("making the namespaces")? {
            Cloned::Child => {
                drop(ours);
                let birth = Birth {
                    spec,
                    joined: &joined,
                    cgroup: &self.cgroup,
                    devices: &[],
                    held_mounts: &[],
                    title: None,
                    channel: &theirs,
                };
                birth.live(stdio)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((guard, theirs, stdio));
        let mut process = Process { reference: ProcessReference { pid, start_time: 0 }, pidfd };
        // It has all that it waits for. One that has failed reports why below.
        let _ = ours.command(&Command::CgroupMade).and_then(|()| ours.command(&Command::Start(None)));
        let mut gifts = Gifts::default();
        if let Err(error) = await_program(&ours, &mut gifts, Instant::now() + START_TIMEOUT) {
            process.kill_and_reap();
            return Err(error);
        }
        // Not reaped yet, so the number is still its own.
        process.reference.start_time = sys::process::start_time_in(&self.host.proc, pid).unwrap_or(0);
        Ok(Exec { process, terminal: gifts.terminal })
    }
}
