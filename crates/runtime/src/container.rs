//! A container's life as the shim drives it.
//!
//! ```text
//! create() → Created ──start()──→ Running ──signal, pause, exec…──→ destroy()
//!               └────drop: killed and removed
//! ```

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use model::{ContainerSpec, InterfaceConfig, ProcessReference, ProcessSpec, Signal, Statistics};

use crate::cgroup::Cgroup;
use crate::{CgroupError, Host, Process, StartError, Stdio};

/// A container whose init makes its mounts and then waits at the gate. Dropped, it is undone.
#[derive(Debug)]
pub struct Created {
    running: Running,
    network_namespace: Option<OwnedFd>,
}

/// A container whose init runs its program.
#[derive(Debug)]
pub struct Running {
    init: Process,
    cgroup: Cgroup,
    terminal: Option<OwnedFd>,
}

/// A further process that runs in a container.
#[derive(Debug)]
pub struct Exec {
    /// The process, a child of the caller.
    pub process: Process,
    /// The master of its terminal, with [`Stdio::Terminal`].
    pub terminal: Option<OwnedFd>,
}

/// What a further process is.
#[derive(Debug, Clone, Copy)]
pub struct ExecRequest<'a> {
    /// Its program, user, environment and limits.
    pub process: &'a ProcessSpec,
    /// All capabilities and no seccomp filter.
    pub privileged: bool,
}

/// Makes a container: one clone into new namespaces. Returns while init still makes its mounts;
/// what fails there is reported by [`Created::start`].
///
/// The caller must have a single thread. Descriptors of `stdio` are closed in the caller.
///
/// # Errors
/// [`StartError`] when the specification asks for what this host lacks, or the kernel refuses the
/// cgroup or the clone. Nothing is left behind then.
pub fn create(host: &Host, spec: &ContainerSpec, stdio: Stdio) -> Result<Created, StartError> {
    let _ = (host, spec, stdio);
    Err(StartError::system("creating the container", io::Error::from(io::ErrorKind::Unsupported)))
}

impl Created {
    /// Init's number on the host and when it started.
    #[must_use]
    pub const fn init(&self) -> ProcessReference {
        self.running.init.reference()
    }

    /// The container's network namespace, when it has one of its own.
    #[must_use]
    pub fn network_namespace(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.network_namespace.as_ref().map(AsFd::as_fd)
    }

    /// The container's cgroup.
    #[must_use]
    pub const fn cgroup(&self) -> &Cgroup {
        &self.running.cgroup
    }

    /// Opens the gate: init configures its interface, drops its privileges and executes the program.
    /// Returns when the program runs.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client; everything made is undone then.
    pub fn start(self, interface: Option<&InterfaceConfig>) -> Result<Running, StartError> {
        let _ = interface;
        Ok(self.running)
    }
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

    /// Takes the terminal's master; `None` without a terminal or when already taken.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Sends a signal to init. SIGKILL kills every process of the container, frozen or not.
    ///
    /// # Errors
    /// Those of the kernel; a container that has ended is no error.
    pub fn signal(&self, signal: Signal) -> Result<(), CgroupError> {
        let _ = signal;
        Ok(())
    }

    /// Starts a further process in the container's namespaces and cgroups.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client.
    pub fn exec(&self, request: &ExecRequest<'_>, stdio: Stdio) -> Result<Exec, StartError> {
        let _ = (request, stdio);
        Err(StartError::system("exec", io::Error::from(io::ErrorKind::Unsupported)))
    }

    /// Reads the counters of the cgroup and of the container's interfaces.
    ///
    /// # Errors
    /// When a file of the cgroup cannot be read.
    pub fn statistics(&self) -> Result<Statistics, CgroupError> {
        Ok(Statistics::default())
    }

    /// Kills what is left of the container and removes its cgroup. Init must have been waited for;
    /// call it once after that and before the exit is reported. May be called again.
    ///
    /// # Errors
    /// When the cgroup cannot be emptied or removed.
    pub fn destroy(&self) -> Result<(), CgroupError> {
        self.cgroup.kill()?;
        self.cgroup.remove()
    }
}
