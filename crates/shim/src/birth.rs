//! The first things a shim does, before anything can go wrong for its container.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use model::{ContainerSpec, ProcessReference};
use shim_protocol::{CONTROL_DESCRIPTOR, RunDirectory, ShimProcesses};
use sys::background;
use sys::child_signal::ChildSignal;
use sys::epoll::{Interest, Poller};

use crate::ahead::Ahead;
use crate::daemon::Daemon;
use crate::error::ShimError;
use crate::event_loop::EventLoop;
use crate::parked::{self, Parking};
use crate::protection::Protection;
use crate::records;
use crate::supervisor::{Birth, Supervisor};
use crate::token::Token;

/// The state of a shim before it gets its container.
pub(crate) struct Prepared {
    own: ProcessReference,
    protection: Protection,
    poller: Poller,
    children: ChildSignal,
    /// The additional state of a parked shim.
    ahead: Ahead,
}

/// Becomes a background process, opens the socket for daemons, reads the specification. The first argument is the run
/// directory; the second, if there is one, is the number of mount namespaces passed behind the control socket. A parked
/// shim receives its run directory later: `None` when its daemon ends without needing it.
pub(crate) fn begin() -> Result<Option<Supervisor>, ShimError> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let first = arguments.first().ok_or(ShimError::Usage)?;
    if let Some(parking) = Parking::parse(first) {
        return begin_parked(parking);
    }
    let held = arguments.get(1).map_or(Some(0), |count| count.to_str()?.parse().ok());
    let mut given = background::detach(CONTROL_DESCRIPTOR, 1 + held.ok_or(ShimError::Usage)?)
        .map_err(ShimError::Background)?;
    let control = given.remove(0);
    let prepared = Prepared::new(Ahead::default())?;
    prepared.bear(RunDirectory::at(PathBuf::from(first)), control, given).map(Some)
}

fn begin_parked(parking: Parking) -> Result<Option<Supervisor>, ShimError> {
    let mut given = background::detach(CONTROL_DESCRIPTOR, 1).map_err(ShimError::Background)?;
    let control = given.remove(0);
    let prepared = Prepared::new(parked::prepare(parking))?;
    match parked::wait(&control) {
        Some(directory) => prepared.bear(directory, control, Vec::new()).map(Some),
        None => Ok(None),
    }
}

impl Prepared {
    fn new(ahead: Ahead) -> Result<Self, ShimError> {
        let protection = Protection::begin();
        let poller = Poller::new().map_err(ShimError::Listen)?;
        let children = ChildSignal::open().map_err(ShimError::Listen)?;
        poller.add(&children, Token::Children.pack(), Interest::READ).map_err(ShimError::Listen)?;
        Ok(Self { own: records::own_reference(), protection, poller, children, ahead })
    }

    fn bear(
        self,
        directory: RunDirectory,
        control: OwnedFd,
        held_mounts: Vec<OwnedFd>,
    ) -> Result<Supervisor, ShimError> {
        let Self { own, protection, poller, children, ahead } = self;
        let daemon = Daemon::new(control, directory.socket(), &poller).map_err(ShimError::Listen)?;
        let spec = read_spec(&directory)?;
        let processes = ShimProcesses { shim: own, init: None, cgroups: Vec::new() };
        let shared = EventLoop::new(poller, daemon);
        Ok(Supervisor::new(Birth {
            directory,
            spec,
            held_mounts,
            processes,
            protection,
            shared,
            children,
            ahead,
        }))
    }
}

fn read_spec(directory: &RunDirectory) -> Result<ContainerSpec, ShimError> {
    let path = directory.spec();
    let failed = |source| ShimError::File { act: "read", path: path.clone(), source };
    let text = fs::read(&path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| failed(error.into()))
}
