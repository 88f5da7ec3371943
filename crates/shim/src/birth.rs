//! The first things a shim does, before anything can go wrong for its container.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use model::ContainerSpec;
use shim_protocol::{CONTROL_DESCRIPTOR, RunDirectory, ShimProcesses};
use sys::background;
use sys::child_signal::ChildSignal;
use sys::epoll::{Interest, Poller};

use crate::daemon::Daemon;
use crate::error::ShimError;
use crate::event_loop::EventLoop;
use crate::protection::Protection;
use crate::records;
use crate::supervisor::{Birth, Supervisor};
use crate::token::Token;

/// Becomes a background process, opens the way for daemons, reads the specification. The first argument is the run
/// directory; the second, where there is one, is the number of mount namespaces given behind the control socket.
pub(crate) fn begin() -> Result<Supervisor, ShimError> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).ok_or(ShimError::Usage)?;
    let directory = RunDirectory::at(directory);
    let held = std::env::args().nth(2).map_or(Ok(0), |count| count.parse()).map_err(|_| ShimError::Usage)?;
    let mut given = background::detach(CONTROL_DESCRIPTOR, 1 + held).map_err(ShimError::Background)?;
    let control = given.remove(0);
    let protection = Protection::begin();
    let processes = ShimProcesses { shim: records::own_reference(), init: None, cgroups: Vec::new() };
    records::write_processes(&directory, &processes)?;
    let (shared, children) = listen(control, &directory)?;
    let spec = read_spec(&directory)?;
    Ok(Supervisor::new(Birth {
        directory,
        spec,
        held_mounts: given,
        processes,
        protection,
        shared,
        children,
    }))
}

fn listen(control: OwnedFd, directory: &RunDirectory) -> Result<(EventLoop, ChildSignal), ShimError> {
    let poller = Poller::new().map_err(ShimError::Listen)?;
    let daemon = Daemon::new(control, directory.socket(), &poller).map_err(ShimError::Listen)?;
    let children = ChildSignal::open().map_err(ShimError::Listen)?;
    poller.add(&children, Token::Children.pack(), Interest::READ).map_err(ShimError::Listen)?;
    Ok((EventLoop::new(poller, daemon), children))
}

fn read_spec(directory: &RunDirectory) -> Result<ContainerSpec, ShimError> {
    let path = directory.spec();
    let failed = |source| ShimError::File { act: "read", path: path.clone(), source };
    let text = fs::read(&path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| failed(error.into()))
}
