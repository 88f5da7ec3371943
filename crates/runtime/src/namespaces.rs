//! Which namespaces a container's first process is born into and which it joins.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use model::{Namespace, Namespaces, ProcessReference};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use sys::clone::NewNamespaces;

use crate::error::Doing;
use crate::{Host, StartError};

/// Which namespaces the clone makes.
pub(crate) fn new_namespaces(namespaces: &Namespaces) -> NewNamespaces {
    NewNamespaces {
        mount: true,
        network: namespaces.network == Namespace::Own,
        pid: namespaces.pid == Namespace::Own,
        ipc: namespaces.ipc == Namespace::Own,
        uts: namespaces.uts == Namespace::Own,
    }
}

/// The processes whose namespaces a container joins, held open.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    network: Option<OwnedFd>,
    pid: Option<OwnedFd>,
    pub(crate) ipc: Option<OwnedFd>,
    uts: Option<OwnedFd>,
}

impl Joined {
    /// Opens them and checks that each is still the process that was meant.
    pub(crate) fn open(host: &Host, namespaces: &Namespaces) -> Result<Self, StartError> {
        let open = |namespace: &Namespace| match namespace {
            Namespace::Process(process) => open_process(host, *process).map(Some),
            Namespace::Own | Namespace::Host => Ok(None),
        };
        Ok(Self {
            network: open(&namespaces.network)?,
            pid: open(&namespaces.pid)?,
            ipc: open(&namespaces.ipc)?,
            uts: open(&namespaces.uts)?,
        })
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

/// While it lives, the caller's children are born into another pid namespace.
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
    if start_time(&host.proc, process.pid).doing_with(act)? == process.start_time {
        Ok(())
    } else {
        Err(StartError::system(act(), io::Error::from_raw_os_error(3)))
    }
}

/// Field 22 of /proc/pid/stat, proc_pid_stat(5).
pub(crate) fn start_time(proc: &Path, pid: u32) -> io::Result<u64> {
    parse_start_time(&stat(proc, pid)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What the kernel says of a process, proc_pid_stat(5).
pub(crate) fn stat(proc: &Path, pid: u32) -> io::Result<String> {
    std::fs::read_to_string(proc.join(pid.to_string()).join("stat"))
}

/// The name in brackets may hold anything, brackets and spaces included.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let stat = "7 (a) 1 (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 9";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_start_time("7 (a"), None);
    }
}
