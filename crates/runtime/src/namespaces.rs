//! Which namespaces a container's first process is born into and which it joins.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use model::{ContainerSpec, IdMapping, Namespace, ProcessReference, id_map_lines};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use sys::clone::NewNamespaces;
use sys::user_namespace::{self, Origin};

use crate::error::Doing;
use crate::{Host, StartError};

/// Which namespaces the clone makes. Those that belong to a user namespace are made before, by [`Joined::open`], and a
/// network namespace may be there already.
pub(crate) fn new_namespaces(spec: &ContainerSpec, joined: &Joined) -> NewNamespaces {
    let beside = match spec.user_namespace {
        Some(_) => NewNamespaces::default(),
        None => owned(spec),
    };
    NewNamespaces {
        mount: true,
        pid: spec.namespaces.pid == Namespace::Own,
        network: beside.network && joined.network.is_none(),
        ..beside
    }
}

/// The new ones among those that belong to a user namespace, where there is one. (The pid namespace is the host's: its procfs
/// can then be mounted whole by the host's root.)
fn owned(spec: &ContainerSpec) -> NewNamespaces {
    let namespaces = &spec.namespaces;
    NewNamespaces {
        network: namespaces.network == Namespace::Own,
        ipc: namespaces.ipc == Namespace::Own,
        uts: namespaces.uts == Namespace::Own,
        ..NewNamespaces::default()
    }
}

/// The namespaces that a container joins, held open: of processes, or made before its init.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// The user namespace, which is entered last.
    pub(crate) user: Option<OwnedFd>,
    pub(crate) network: Option<OwnedFd>,
    pid: Option<OwnedFd>,
    pub(crate) ipc: Option<OwnedFd>,
    uts: Option<OwnedFd>,
}

impl Joined {
    /// Opens them and checks that each is still the process that was meant. `network` is a new namespace, for a container
    /// that has one of its own that the host's root owns.
    pub(crate) fn open(
        host: &Host,
        spec: &ContainerSpec,
        network: Option<OwnedFd>,
    ) -> Result<Self, StartError> {
        let namespaces = &spec.namespaces;
        let open = |namespace: &Namespace| match namespace {
            Namespace::Process(process) => open_process(host, *process).map(Some),
            Namespace::Own | Namespace::Host => Ok(None),
        };
        let is_own = namespaces.network == Namespace::Own && spec.user_namespace.is_none();
        let joined = Self {
            user: None,
            network: open(&namespaces.network)?.or(network.filter(|_| is_own)),
            pid: open(&namespaces.pid)?,
            ipc: open(&namespaces.ipc)?,
            uts: open(&namespaces.uts)?,
        };
        match &spec.user_namespace {
            Some(mapping) => joined.with_user_namespace(host, spec, mapping),
            None => Ok(joined),
        }
    }

    /// Makes a user namespace and what belongs to it. A container that joins another's namespaces shares its user
    /// namespace too: only there it has rights over them.
    fn with_user_namespace(
        self,
        host: &Host,
        spec: &ContainerSpec,
        mapping: &IdMapping,
    ) -> Result<Self, StartError> {
        let namespaces = &spec.namespaces;
        let process =
            [&namespaces.network, &namespaces.ipc, &namespaces.pid].into_iter().find_map(|namespace| {
                match namespace {
                    Namespace::Process(process) => Some(*process),
                    Namespace::Own | Namespace::Host => None,
                }
            });
        let existing = process.map(|process| other_user_namespace(host, process)).transpose()?.flatten();
        let (users, groups) = (id_map_lines(&mapping.users), id_map_lines(&mapping.groups));
        let origin = match &existing {
            Some(namespace) => Origin::Existing(namespace.as_fd()),
            None => Origin::New { users: &users, groups: &groups },
        };
        let made = user_namespace::make(&origin, owned(spec)).doing("making the user namespace")?;
        Ok(Self {
            user: Some(made.user),
            network: made.network.or(self.network),
            pid: self.pid,
            ipc: made.ipc.or(self.ipc),
            uts: made.uts.or(self.uts),
        })
    }

    /// The user namespace, to name it.
    pub(crate) fn users(&self) -> Option<BorrowedFd<'_>> {
        self.user.as_ref().map(AsFd::as_fd)
    }

    /// In the parent: lets the next child be born into the pid namespace, which a process cannot
    /// enter itself. Dropping the guard ends that.
    pub(crate) fn direct_children(&self) -> Result<PidNamespaceOfChildren, StartError> {
        let Some(process) = &self.pid else { return Ok(PidNamespaceOfChildren(None)) };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let own = rustix::fs::open("/proc/self/ns/pid", flags, Mode::empty())
            .doing("opening the own pid namespace")?;
        rustix::thread::move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::PROCESS_ID)
            .doing("joining the pid namespace")?;
        Ok(PidNamespaceOfChildren(Some(own)))
    }

    /// In the child: enters the others.
    pub(crate) fn enter(&self) -> Result<(), StartError> {
        let parts = [
            (&self.network, ThreadNameSpaceType::NETWORK, "network"),
            (&self.ipc, ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION, "ipc"),
            (&self.uts, ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME, "uts"),
        ];
        for (process, kind, name) in parts {
            if let Some(process) = process {
                rustix::thread::move_into_thread_name_spaces(process.as_fd(), kind)
                    .doing_with(|| format!("joining the {name} namespace"))?;
            }
        }
        Ok(())
    }
}

/// While this value exists, the caller's children are born into another pid namespace.
#[derive(Debug)]
pub(crate) struct PidNamespaceOfChildren(Option<OwnedFd>);

impl Drop for PidNamespaceOfChildren {
    fn drop(&mut self) {
        if let Some(own) = &self.0 {
            // It can only fail without the right that has just been used.
            let _ =
                rustix::thread::move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID));
        }
    }
}

/// The user namespace of a process; `None` where it is the caller's own.
fn other_user_namespace(host: &Host, process: ProcessReference) -> Result<Option<OwnedFd>, StartError> {
    let act = "opening the user namespace";
    let path = |process: &str| host.proc.join(process).join("ns/user");
    let other = std::fs::File::open(path(&process.pid.to_string())).doing(act)?;
    require_process(host, process)?;
    let own = std::fs::metadata(path("self")).doing(act)?;
    let is_own = other.metadata().doing(act)?.ino() == own.ino();
    Ok((!is_own).then(|| other.into()))
}

fn open_process(host: &Host, process: ProcessReference) -> Result<OwnedFd, StartError> {
    let act = || format!("joining the namespaces of process {}", process.pid);
    let pid = i32::try_from(process.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| StartError::system(act(), io::Error::from_raw_os_error(3)))?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).doing_with(act)?;
    require_process(host, process)?;
    Ok(pidfd)
}

/// Fails unless the number still belongs to the process that is meant.
pub(crate) fn require_process(host: &Host, process: ProcessReference) -> Result<(), StartError> {
    let act = || format!("joining the namespaces of process {}", process.pid);
    if sys::process::start_time_in(&host.proc, process.pid).doing_with(act)? == process.start_time {
        Ok(())
    } else {
        Err(StartError::system(act(), io::Error::from_raw_os_error(3)))
    }
}
