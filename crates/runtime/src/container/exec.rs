//! Starts a further process in a running container: an exec, or a probe beneath a reaper.
//!
//! ```text
//! caller ──clone──→ helper: outside of the container's pid namespace, so nothing inside sees it. It
//!    │              closes what is the caller's, joins the cgroups and the other namespaces, closes the rest that is
//!    │              the host's, becomes the user and gives up all rights that the program will not have
//!    └──────────────── clone ──→ process: the caller's child, born into the pid namespace with
//!                                nothing left to take from it, and not dumpable; executes
//! ```

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use model::{Namespace, ProcessReference, ProcessSpec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::pipe::PipeFlags;
use rustix::thread::ThreadNameSpaceType;
use sys::clone::{Cloned, NewNamespaces};

use super::start::{Gifts, START_TIMEOUT, await_program};
use super::{Exec, ExecRequest, Probe, Running};
use crate::capabilities;
use crate::channel::Channel;
use crate::error::Doing;
use crate::process::launch::{self, Launch, Ready, Streams};
use crate::process::terminal::Terminal;
use crate::process::user;
use crate::root::kernel;
use crate::root::place::Root;
use crate::{FailureKind, Process, StartError, Stdio, label, reaper};

/// How often a container's init may move to another group while a process is to be made where it is.
const MOVES: usize = 4;

impl Running {
    /// Starts a further process in the container's namespaces and cgroups.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client.
    pub fn exec(&self, request: &ExecRequest<'_>, stdio: Stdio) -> Result<Exec, StartError> {
        if self.is_frozen()? {
            return Err(StartError::words(FailureKind::System, "the container is paused"));
        }
        let mut exec = self.start_further(request, stdio, None, START_TIMEOUT)?;
        let reference = &mut exec.process.reference;
        // Not reaped yet, so the number is still its own.
        reference.start_time = sys::process::start_time_in(&self.host.proc, reference.pid).unwrap_or(0);
        Ok(exec)
    }

    /// Starts a process beneath a reaper, which takes all that it leaves behind and reports its exit code.
    /// Waits for its program no longer than `patience`. The container must not be frozen.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client.
    pub fn probe(
        &self,
        process: &ProcessSpec,
        stdio: Stdio,
        patience: Duration,
    ) -> Result<Probe, StartError> {
        let (end, report) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing("making a pipe")?;
        let request = ExecRequest { process, privileged: false };
        let Exec { process: reaper, .. } = self.start_further(&request, stdio, Some(report), patience)?;
        Ok(Probe { reaper, end })
    }

    fn start_further(
        &self,
        request: &ExecRequest<'_>,
        stdio: Stdio,
        report: Option<OwnedFd>,
        patience: Duration,
    ) -> Result<Exec, StartError> {
        launch::hide_from_others()?;
        if !request.privileged {
            self.filter.prepare(&self.spec, request.process);
        }
        let stdio = stdio.above_standard().doing("preparing the standard streams")?;
        let (ours, theirs) = Channel::pair().doing("making a socket pair")?;
        let (pid, pidfd) = match self.clone_helper().doing("making the process")? {
            Cloned::Child => {
                // The end of the parent must be seen, so its side of the channel goes.
                drop(ours);
                Helper { running: self, request, channel: &theirs, report: report.as_ref() }.live(stdio)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((theirs, stdio, report));
        let helper = Process { reference: ProcessReference { pid, start_time: 0 }, pidfd };
        take_process((&ours, Instant::now() + patience), &helper)
    }

    /// Copies the caller into the container's directory of v2. One that manages groups of its own may delegate
    /// controllers from there, and then the kernel accepts no process in it: then the process joins init's group.
    fn clone_helper(&self) -> io::Result<Cloned> {
        let none = NewNamespaces::default();
        let Some(top) = self.birthplace.as_ref().map(AsFd::as_fd) else {
            return sys::clone::clone(none, None);
        };
        let mut cloned = sys::clone::clone(none, Some(top));
        for _ in 0..MOVES {
            match &cloned {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                // What init was in is gone, since it has moved on.
                Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => {}
                _ => break,
            }
            let Some(place) = self.cgroup.place_beneath(top, self.init.reference.pid) else { break };
            cloned = sys::clone::clone(none, Some(place.as_fd()));
        }
        cloned
    }
}

/// The process that the helper makes, once it runs its program; its start time is not looked up.
fn take_process((channel, deadline): (&Channel, Instant), helper: &Process) -> Result<Exec, StartError> {
    let mut gifts = Gifts::default();
    let report = await_program(channel, &mut gifts, deadline);
    let process =
        gifts.born.map(|(pid, pidfd)| Process { reference: ProcessReference { pid, start_time: 0 }, pidfd });
    match (report, process) {
        (Ok(()), Some(process)) => {
            // It has ended with the birth; only its exit is left to take, which could be waited for without end where
            // a process of the container traces it.
            helper.kill_and_reap();
            Ok(Exec { process, terminal: gifts.terminal })
        }
        (report, process) => {
            helper.kill_and_reap();
            if let Some(process) = process {
                process.kill_and_reap();
            }
            Err(report.err().unwrap_or_else(StartError::lost))
        }
    }
}

/// The helper's input.
struct Helper<'a> {
    running: &'a Running,
    request: &'a ExecRequest<'a>,
    channel: &'a Channel,
    /// Where the reaper of a probe reports its exit code.
    report: Option<&'a OwnedFd>,
}

impl Helper<'_> {
    fn live(&self, stdio: Stdio) -> ! {
        let Err(error) = self.make_process(stdio);
        self.channel.fail(&error);
        sys::clone::leave(error.exit_code())
    }

    fn make_process(&self, stdio: Stdio) -> Result<Infallible, StartError> {
        let report = self.report.map(AsFd::as_fd);
        let kept = [self.channel.as_fd(), self.running.init.as_fd()].into_iter().chain(report);
        let kept: Vec<BorrowedFd<'_>> = kept.chain(stdio.descriptors()).collect();
        // First of all: where the container's file system does not answer, the helper stays, and what the caller closes
        // meanwhile must be closed.
        sys::execute::close_all_but(3, &kept).doing("closing descriptors")?;
        let only = sys::clone::OnlyThread::ascertain().doing("making the process")?;
        self.running.cgroup.entrances()?.enter()?;
        let mut ready = self.settle(stdio)?;
        let kept: Vec<BorrowedFd<'_>> = [self.channel.as_fd()].into_iter().chain(report).collect();
        sys::execute::close_all_but(3, &kept).doing("closing descriptors")?;
        if self.may_be_traced() {
            ready.confine()?;
        }
        match sys::clone::clone_sibling(&only).doing("making the process")? {
            Cloned::Child => match self.report {
                None => ready.execute(self.channel),
                Some(report) => reaper::run(ready, self.channel, report.as_fd(), &only),
            },
            Cloned::Parent { pid, pidfd } => {
                self.channel.born(pid, pidfd.as_fd()).doing("reporting to the parent")?;
                sys::clone::leave(0)
            }
        }
    }

    /// Whether processes of the container can enter even one that is not dumpable. Then it must have
    /// no right more than they have when it is born; otherwise the filter, which may forbid what is
    /// yet to be done, comes last, and with it the right to install it.
    fn may_be_traced(&self) -> bool {
        self.running.spec.process.capabilities.iter().any(|name| name == "CAP_SYS_PTRACE")
    }

    fn settle(&self, stdio: Stdio) -> Result<Ready, StartError> {
        let label = label::choose(&self.running.spec);
        let needs_proc = label.is_some() || self.request.process.oom_score_adjustment.is_some();
        // Made here: where parts of /proc are hidden, a user namespace cannot.
        let proc = needs_proc
            .then(|| kernel::make(c"proc", &[], MountAttrFlags::empty()))
            .transpose()
            .doing("mounting proc")?;
        if let Some(mapping) = &self.running.spec.user_namespace {
            let proc = proc.as_ref().map(AsFd::as_fd);
            launch::prepare_for_user_namespace(self.request.process, mapping, proc, &stdio)?;
        }
        self.enter_namespaces()?;
        let root = rustix::fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .doing("opening the container's root")?;
        let root = Root::new(root);
        let streams = self.open_streams(stdio, &root)?;
        self.prepare_launch(&root, proc.as_ref(), label)?.settle(streams)
    }

    /// The pid namespace becomes that of children only.
    fn enter_namespaces(&self) -> Result<(), StartError> {
        let mut kinds = ThreadNameSpaceType::MOUNT
            | ThreadNameSpaceType::CONTROL_GROUP
            | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
            | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
            | ThreadNameSpaceType::NETWORK;
        if self.running.spec.namespaces.pid != Namespace::Host {
            kinds |= ThreadNameSpaceType::PROCESS_ID;
        }
        let has_users = self.running.spec.user_namespace.is_some();
        if has_users {
            rustix::thread::set_thread_groups(&[]).doing("leaving the host's groups")?;
            kinds |= ThreadNameSpaceType::USER;
        }
        rustix::thread::move_into_thread_name_spaces(self.running.init.as_fd(), kinds)
            .doing("joining the container's namespaces")?;
        if has_users {
            sys::user_namespace::become_root().doing("becoming root of the user namespace")?;
            launch::hide_from_others()?;
        }
        Ok(())
    }

    fn open_streams(&self, stdio: Stdio, root: &Root) -> Result<Streams, StartError> {
        match stdio {
            Stdio::Streams { stdin, stdout, stderr } => Ok(Streams::Separate([stdin, stdout, stderr])),
            Stdio::Terminal => {
                let terminal = Terminal::open_in(root, self.request.process.terminal_size)?;
                self.channel.give_terminal(terminal.master.as_fd()).doing("handing over the terminal")?;
                Ok(Streams::Terminal(terminal.slave))
            }
        }
    }

    fn prepare_launch<'a>(
        &'a self,
        root: &Root,
        proc: Option<&'a OwnedFd>,
        label: label::Label,
    ) -> Result<Launch<'a>, StartError> {
        let spec = &self.running.spec;
        let process = self.request.process;
        let bounding = capabilities::bounding_set();
        let capabilities = if self.request.privileged {
            bounding
        } else {
            capabilities::mask(&process.capabilities)? & bounding
        };
        let filter = match self.request.privileged {
            true => None,
            false => self.running.filter.of(&spec.seccomp, capabilities)?,
        };
        let keyring = CString::new(format!("_ses.{}", spec.id.as_str())).map_err(io::Error::other);
        Ok(Launch {
            process,
            identity: user::identify(process, root)?,
            capabilities,
            filter,
            keyring: keyring.doing("naming the keyring")?,
            proc: proc.map(AsFd::as_fd),
            channel: self.channel,
            rights: launch::Rights::of(spec),
            label,
        })
    }
}
