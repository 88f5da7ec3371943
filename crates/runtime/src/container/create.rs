//! Makes a container: one clone into new namespaces, then its cgroup while the child mounts.

use std::cell::{Cell, OnceCell};
use std::os::fd::{AsFd, OwnedFd};

use model::{ContainerSpec, Namespace, ProcessReference};
use rustix::fs::{Mode, OFlags};
use sys::clone::Cloned;
use sys::process_title::ProcessTitle;

use super::known_filter::KnownFilter;
use super::{Created, Running};
use crate::cgroup::Cgroup;
use crate::channel::{Channel, Command};
use crate::child::Birth;
use crate::error::Doing;
use crate::namespaces::{Joined, new_namespaces, require_process};
use crate::process::launch;
use crate::root::host_devices;
use crate::{CgroupError, Host, Process, StartError, Stdio, label, sysctl};

/// The descriptors that a container gets from its maker.
#[derive(Debug)]
pub struct Given<'a> {
    /// The standard streams of its first process.
    pub stdio: Stdio,
    /// The mount namespaces that hold those of its volumes that are mounts.
    pub held_mounts: &'a [OwnedFd],
    /// A new network namespace, which takes longer to make than all else of a clone. A container that does not need it
    /// does without.
    pub network: Option<OwnedFd>,
    /// Where the caller's arguments are, which its child has too: a small init shows its own there.
    pub title: Option<ProcessTitle>,
}

/// Makes a container: one clone into new namespaces. Returns while init still makes its mounts, and before its cgroup has
/// limits; what fails there is reported by [`Created::start`].
///
/// `cgroup` is what [`Cgroup::of`] names for the specification: the caller may note it down before it
/// exists. The caller must have a single thread. Descriptors of its stdio are closed in the caller.
///
/// # Errors
/// [`StartError`] when the specification requires what this host lacks, or the kernel refuses the cgroup or
/// the clone. Nothing is left behind then.
pub fn create(
    host: &Host,
    spec: &ContainerSpec,
    cgroup: Cgroup,
    given: Given<'_>,
) -> Result<Created, StartError> {
    launch::hide_from_others()?;
    sysctl::check(&spec.sysctls, &spec.namespaces)?;
    label::check(spec)?;
    let stdio = given.stdio.above_standard().doing("preparing the standard streams")?;
    let joined = Joined::open(host, spec, given.network)?;
    let devices = host_devices::collect(spec)?;
    or_remove(&cgroup, cgroup.make_unified())?;
    let Given { held_mounts, title, .. } = given;
    let parts = Parts { stdio, held_mounts, joined: &joined, devices, title };
    let mut created = clone_init(host, spec, parts, cgroup)?;
    // From here on a failure drops `created`, which undoes it.
    match complete(host, spec, &joined, &mut created) {
        Ok(()) => Ok(created),
        Err(error) => Err(created.own_words(error)),
    }
}

/// The parent's part while its child makes the mounts.
fn complete(
    host: &Host,
    spec: &ContainerSpec,
    joined: &Joined,
    created: &mut Created,
) -> Result<(), StartError> {
    let pid = created.running.init.reference.pid;
    created.running.init.reference.start_time =
        sys::process::start_time_in(&host.proc, pid).doing("reading the child's start time")?;
    created.network_namespace = match spec.namespaces.network {
        Namespace::Own if joined.network.is_some() => {
            let made = joined.network.as_ref().map(OwnedFd::try_clone).transpose();
            made.doing("opening the network namespace")?
        }
        Namespace::Own => Some(open_network_namespace(host, pid)?),
        // The child may not be in it yet.
        Namespace::Process(process) => {
            let namespace = open_network_namespace(host, process.pid)?;
            require_process(host, process)?;
            Some(namespace)
        }
        Namespace::Host => None,
    };
    let cgroup = &created.running.cgroup;
    or_remove(cgroup, cgroup.make_legacy())?;
    // A child that has failed reports why at the start.
    let _ = created.channel.command(&Command::CgroupMade);
    Ok(())
}

/// Removes the directories on failure.
fn or_remove(cgroup: &Cgroup, made: Result<(), CgroupError>) -> Result<(), StartError> {
    if made.is_err() {
        // The first error is the one to report.
        let _ = cgroup.remove();
    }
    Ok(made?)
}

/// The parts with which init is born.
struct Parts<'a> {
    stdio: Stdio,
    held_mounts: &'a [OwnedFd],
    joined: &'a Joined,
    devices: Vec<host_devices::Node>,
    title: Option<ProcessTitle>,
}

fn clone_init(
    host: &Host,
    spec: &ContainerSpec,
    parts: Parts<'_>,
    cgroup: Cgroup,
) -> Result<Created, StartError> {
    let Parts { stdio, held_mounts, joined, devices, title } = parts;
    let (ours, theirs) = Channel::pair().doing("making a socket pair")?;
    let target = cgroup.clone_target()?;
    let guard = joined.direct_children()?;
    let cloned = sys::clone::clone(new_namespaces(spec, joined), target.as_ref().map(AsFd::as_fd));
    let (pid, pidfd) = match cloned {
        Ok(Cloned::Child) => {
            drop(ours);
            let (cgroup, devices) = (&cgroup, devices.as_slice());
            Birth { spec, joined, cgroup, devices, held_mounts, title, channel: &theirs }.live(stdio)
        }
        Ok(Cloned::Parent { pid, pidfd }) => (pid, pidfd),
        Err(error) => {
            let _ = cgroup.remove();
            return Err(error).doing("making the namespaces");
        }
    };
    drop(guard);
    let init = Process { reference: ProcessReference { pid, start_time: 0 }, pidfd };
    let running = Running {
        host: host.clone(),
        spec: spec.clone(),
        init,
        cgroup,
        birthplace: target,
        freezer: OnceCell::new(),
        filter: KnownFilter::default(),
        terminal: None,
        is_destroyed: Cell::new(false),
    };
    Ok(Created { running, channel: ours, network_namespace: None, devices: Some(devices) })
}

/// `pid` must be a child that is not reaped, or a process that was verified to be the right one.
fn open_network_namespace(host: &Host, pid: u32) -> Result<OwnedFd, StartError> {
    let path = host.proc.join(pid.to_string()).join("ns/net");
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .doing("opening the network namespace")
}
