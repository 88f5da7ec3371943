//! Starts a further process in a running container.
//!
//! The child is born into the container's pid namespace, where others see it. Until it becomes its
//! program it cannot be looked into (it is not dumpable), and it holds no descriptor of the host.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use model::{Namespace, ProcessReference};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;
use rustix::thread::ThreadNameSpaceType;
use sys::clone::{Cloned, NewNamespaces};

use super::start::await_program;
use super::{Exec, ExecRequest, Running};
use crate::channel::{Channel, Command};
use crate::error::Doing;
use crate::namespaces::{direct_children, start_time};
use crate::process::capabilities;
use crate::process::launch::{self, Launch, Streams};
use crate::process::terminal::Terminal;
use crate::process::user;
use crate::root::kernel;
use crate::root::place::Root;
use crate::{FailureKind, Process, StartError, Stdio, label, seccomp};

impl Running {
    /// Starts a further process in the container's namespaces and cgroups.
    ///
    /// # Errors
    /// [`StartError`] with the words for the client.
    pub fn exec(&self, request: &ExecRequest<'_>, stdio: Stdio) -> Result<Exec, StartError> {
        if self.cgroup.is_frozen()? {
            return Err(StartError::words(FailureKind::System, "the container is paused"));
        }
        launch::hide_from_others()?;
        let stdio = stdio.above_standard().doing("preparing the standard streams")?;
        let (ours, theirs) = Channel::pair().doing("making a socket pair")?;
        let target = self.cgroup.clone_target()?;
        let guard = match self.spec.namespaces.pid {
            Namespace::Host => None,
            Namespace::Own | Namespace::Process(_) => Some(direct_children(&self.init)?),
        };
        let cloned = sys::clone::clone(NewNamespaces::default(), target.as_ref().map(AsFd::as_fd));
        let (pid, pidfd) = match cloned.doing("making the process")? {
            Cloned::Child => {
                drop((ours, target, guard));
                ExecBirth { running: self, request, channel: &theirs }.live(stdio)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((guard, theirs, stdio));
        let start_time = start_time(&self.host.proc, pid);
        let reference = ProcessReference { pid, start_time: *start_time.as_ref().unwrap_or(&0) };
        let process = Process { reference, pidfd };
        let entered = start_time.doing("reading the child's start time").and_then(|_| {
            if target.is_none() {
                self.cgroup.join(pid)?;
            }
            ours.command(&Command::Start(None)).doing("telling the child to start")
        });
        match finish(&process, &ours, entered) {
            Ok(terminal) => Ok(Exec { process, terminal }),
            Err(error) => {
                // It ends by itself or was killed; only its exit is left to take.
                let _ = process.wait();
                Err(error)
            }
        }
    }
}

fn finish(
    process: &Process,
    channel: &Channel,
    entered: Result<(), StartError>,
) -> Result<Option<OwnedFd>, StartError> {
    if let Err(error) = entered {
        // A child that has failed by itself says more about it.
        let _ = process.signal(model::Signal::KILL);
        return Err(await_program(channel).err().filter(|error| !error.is_lost()).unwrap_or(error));
    }
    await_program(channel)
}

/// What the child of an exec knows.
struct ExecBirth<'a> {
    running: &'a Running,
    request: &'a ExecRequest<'a>,
    channel: &'a Channel,
}

impl ExecBirth<'_> {
    fn live(&self, stdio: Stdio) -> ! {
        let Err(error) = self.become_process(stdio);
        self.channel.fail(&error);
        sys::clone::leave(error.exit_code())
    }

    fn become_process(&self, stdio: Stdio) -> Result<Infallible, StartError> {
        launch::hide_from_others()?;
        self.enter_namespaces()?;
        let root = rustix::fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .doing("opening the container's root")?;
        let root = Root::new(root);
        let streams = self.open_streams(stdio, &root)?;
        let label = label::choose(&self.running.spec);
        let needs_proc = label.is_some() || self.request.process.oom_score_adjustment.is_some();
        let proc = needs_proc
            .then(|| kernel::make(c"proc", &[], MountAttrFlags::empty()))
            .transpose()
            .doing("mounting proc")?;
        let launch = self.prepare_launch(&root, proc.as_ref(), label)?;
        match self.channel.wait().doing("waiting for the start")? {
            Command::Start(_) => launch.run(streams),
            Command::CgroupMade => {
                Err(StartError::system("exec", io::Error::from(io::ErrorKind::InvalidData)))
            }
        }
    }

    fn enter_namespaces(&self) -> Result<(), StartError> {
        let kinds = ThreadNameSpaceType::MOUNT
            | ThreadNameSpaceType::CONTROL_GROUP
            | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
            | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
            | ThreadNameSpaceType::NETWORK;
        rustix::thread::move_into_thread_name_spaces(self.running.init.as_fd(), kinds)
            .doing("joining the container's namespaces")
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
        let unfiltered = self.request.privileged || spec.privileged;
        let keyring = CString::new(format!("_ses.{}", spec.id.as_str())).map_err(io::Error::other);
        Ok(Launch {
            process,
            identity: user::identify(process, root)?,
            capabilities,
            filter: seccomp::filter(&spec.seccomp, unfiltered, capabilities)?,
            keyring: keyring.doing("naming the keyring")?,
            proc: proc.map(AsFd::as_fd),
            channel: self.channel,
            label,
        })
    }
}
