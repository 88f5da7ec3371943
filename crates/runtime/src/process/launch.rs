//! The last stretch of a process: from a child inside the container to its program.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use model::{ContainerSpec, IdMapping, Identity, ProcessSpec};
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal};

use super::program::Program;
use super::{Stdio, limits};
use crate::capabilities::{self, Mask};
use crate::channel::Channel;
use crate::error::Doing;
use crate::root::mounts::PROC_MAGIC;
use crate::root::place::open_beneath;
use crate::seccomp::Filter;
use crate::{FailureKind, StartError};

/// Everything that was found out before the gate opened.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// The process.
    pub(crate) process: &'a ProcessSpec,
    /// The user and groups that it runs as.
    pub(crate) identity: Identity,
    /// Its capabilities, as far as the host has them.
    pub(crate) capabilities: Mask,
    /// Which system calls it may make.
    pub(crate) filter: Option<Filter>,
    /// The name of its session keyring.
    pub(crate) keyring: CString,
    /// A procfs that is surely one, where something is written to it.
    pub(crate) proc: Option<BorrowedFd<'a>>,
    /// The line to the parent.
    pub(crate) channel: &'a Channel,
    /// Whether the caller is root of the host or of a user namespace: what only the host's root may do has
    /// been done.
    pub(crate) rights: Rights,
    /// Labels of security modules, written before execve: file of /proc/self/attr, content.
    pub(crate) label: Option<(&'static str, String)>,
}

/// The user namespace in which the caller is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    Host,
    UserNamespace,
}

impl Rights {
    /// Those of a container's processes.
    pub(crate) const fn of(spec: &ContainerSpec) -> Self {
        if spec.user_namespace.is_some() { Self::UserNamespace } else { Self::Host }
    }
}

/// The three descriptors of a process, or its terminal.
#[derive(Debug)]
pub(crate) enum Streams {
    Separate([OwnedFd; 3]),
    Terminal(OwnedFd),
}

/// Keeps other processes of the container from reading this one until it has executed its program.
pub(crate) fn hide_from_others() -> Result<(), StartError> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).doing("hiding the process")
}

/// A process that has everything of its program but the program.
#[derive(Debug)]
pub(crate) struct Ready {
    program: Program,
    path: CString,
    filter: Option<Filter>,
    last_capabilities: Mask,
    has_terminal: bool,
}

impl Launch<'_> {
    /// Becomes the program.
    pub(crate) fn run(self, streams: Streams) -> Result<Infallible, StartError> {
        let channel = self.channel;
        self.settle(streams)?.execute(channel)
    }

    /// Does everything that a child of this process inherits.
    pub(crate) fn settle(self, streams: Streams) -> Result<Ready, StartError> {
        let program = Program::new(&self.process.arguments, &self.process.environment, &self.identity.home)?;
        let has_terminal = matches!(streams, Streams::Terminal(_));
        sys::execute::reset_signals();
        rustix::process::umask(Mode::from_raw_mode(0o022));
        self.place_streams(streams)?;
        self.adjust_oom_score()?;
        self.join_keyring()?;
        self.write_label()?;
        limits::set(&self.process.resource_limits)?;
        // As root: the user need not be able to reach it. Root cannot enter all that the user can, on FUSE or NFS.
        let has_entered = self.enter_working_directory().is_ok();
        self.change_identity()?;
        if !has_entered {
            self.enter_working_directory()?;
        }
        let path = program.find()?;
        if self.process.no_new_privileges {
            rustix::thread::set_no_new_privs(true).doing("giving up new privileges")?;
        }
        let last_capabilities = if self.identity.uid == 0 { self.capabilities } else { 0 };
        Ok(Ready { program, path, filter: self.filter, last_capabilities, has_terminal })
    }

    fn place_streams(&self, streams: Streams) -> Result<(), StartError> {
        let act = "setting up the standard streams";
        let [stdin, stdout, stderr] = match streams {
            Streams::Separate(streams) => streams,
            Streams::Terminal(terminal) => {
                let second = rustix::io::fcntl_dupfd_cloexec(&terminal, 3).doing(act)?;
                let third = rustix::io::fcntl_dupfd_cloexec(&terminal, 3).doing(act)?;
                [terminal, second, third]
            }
        };
        for stream in [&stdin, &stdout, &stderr] {
            self.own(stream);
        }
        rustix::stdio::dup2_stdin(stdin).doing(act)?;
        rustix::stdio::dup2_stdout(stdout).doing(act)?;
        rustix::stdio::dup2_stderr(stderr).doing(act)
    }

    /// Lets the user open /dev/stdout again. Not for devices that others use too; a stream that
    /// cannot be owned (a file of a read-only or foreign system) is still good for use.
    fn own(&self, stream: &OwnedFd) {
        if owner_of_own(stream).is_some_and(|owner| owner != self.identity.uid) {
            let _ = rustix::fs::fchown(stream, Some(Uid::from_raw(self.identity.uid)), None);
        }
    }

    fn adjust_oom_score(&self) -> Result<(), StartError> {
        match self.rights {
            Rights::Host => adjust_oom_score(self.process, self.proc),
            Rights::UserNamespace => Ok(()),
        }
    }

    /// A kernel without keyrings, or a full quota of them, is no reason not to run.
    fn join_keyring(&self) -> Result<(), StartError> {
        match sys::execute::join_session_keyring(&self.keyring) {
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOSYS | Errno::DQUOT) => Ok(()),
                _ => Err(StartError::system("joining a session keyring", error)),
            },
            Ok(()) => Ok(()),
        }
    }

    fn write_label(&self) -> Result<(), StartError> {
        let Some((file, label)) = &self.label else { return Ok(()) };
        write_proc(self.proc, &format!("attr/{file}"), label)
            .doing_with(|| format!("setting the security label {label:?}"))
    }

    fn change_identity(&self) -> Result<(), StartError> {
        capabilities::limit_bounding_set(self.capabilities)?;
        rustix::thread::set_keep_capabilities(true).doing("changing the user")?;
        let groups: Vec<Gid> = self.identity.groups.iter().copied().map(Gid::from_raw).collect();
        rustix::thread::set_thread_groups(&groups).doing("setting the groups")?;
        let gid = Gid::from_raw(self.identity.gid);
        rustix::thread::set_thread_res_gid(gid, gid, gid).doing("changing the group")?;
        let uid = Uid::from_raw(self.identity.uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).doing("changing the user")?;
        rustix::thread::set_keep_capabilities(false).doing("changing the user")?;
        hide_from_others()?;
        let for_filter = if self.filter.is_some() { capabilities::SYS_ADMIN } else { 0 };
        let effective = if self.identity.uid == 0 { self.capabilities } else { 0 } | for_filter;
        capabilities::set(effective, effective)
    }

    /// The directory must lie inside the container's root, whatever descriptors were inherited. `..` is taken out
    /// of the path before any symlink is followed, as where the directory is made.
    fn enter_working_directory(&self) -> Result<(), StartError> {
        let directory = model::clean(&self.process.working_directory);
        let act = || format!("chdir to cwd ({directory:?})");
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
        let resolve = rustix::fs::ResolveFlags::NO_MAGICLINKS;
        let opened = rustix::fs::openat2(rustix::fs::CWD, &directory, flags, Mode::empty(), resolve)
            .doing_with(act)?;
        rustix::process::fchdir(opened).doing_with(act)?;
        let reached = rustix::process::getcwd(Vec::new()).doing_with(act)?;
        if reached.as_bytes().starts_with(b"/") {
            Ok(())
        } else {
            let message = format!("chdir to cwd ({directory:?}): outside of the container");
            Err(StartError::words(FailureKind::System, message))
        }
    }
}

impl Ready {
    /// Puts the filter in force and closes what only that needed; what follows must pass it.
    pub(crate) fn confine(&mut self) -> Result<(), StartError> {
        if let Some(filter) = self.filter.take() {
            filter.install().doing("installing the seccomp filter")?;
        }
        capabilities::set(self.last_capabilities, self.last_capabilities)
    }

    /// Becomes the program, leader of a session of its own.
    pub(crate) fn execute(mut self, channel: &Channel) -> Result<Infallible, StartError> {
        sys::execute::close_on_execute_from(3).doing("closing descriptors")?;
        rustix::process::setsid().doing("starting a session")?;
        if self.has_terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()).doing("taking the terminal")?;
        }
        die_with_parent()?;
        channel.executing().doing("reporting to the parent")?;
        self.confine()?;
        Err(self.program.execute(&self.path))
    }
}

/// Ends the caller when its parent ends. Changes of identity cancel it, so it comes after them; a
/// parent that was quicker is noticed by the channel's end.
pub(crate) fn die_with_parent() -> Result<(), StartError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).doing("binding to the parent's life")
}

/// The preparations that only the host's root may make for a process that is going to be in a user namespace: its
/// limits, its score, and streams that the namespace's root can own. `proc` is a verified procfs.
pub(crate) fn prepare_for_user_namespace(
    process: &ProcessSpec,
    mapping: &IdMapping,
    proc: Option<BorrowedFd<'_>>,
    stdio: &Stdio,
) -> Result<(), StartError> {
    limits::allow(&process.resource_limits)?;
    adjust_oom_score(process, proc)?;
    let (Stdio::Streams { stdin, stdout, stderr }, Some((user, group))) = (stdio, mapping.on_host((0, 0)))
    else {
        return Ok(());
    };
    for stream in [stdin, stdout, stderr] {
        if owner_of_own(stream).is_some() {
            // As with every owner of a stream: without it the stream is still good for use.
            let _ = rustix::fs::fchown(stream, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        }
    }
    Ok(())
}

fn adjust_oom_score(process: &ProcessSpec, proc: Option<BorrowedFd<'_>>) -> Result<(), StartError> {
    let Some(score) = process.oom_score_adjustment else { return Ok(()) };
    write_proc(proc, "oom_score_adj", &score.to_string()).doing("setting oom_score_adj")
}

/// The owner of a stream that others do not use: a pipe, or a terminal.
fn owner_of_own(stream: &OwnedFd) -> Option<u32> {
    let status = rustix::fs::fstat(stream).ok()?;
    let is_own = match FileType::from_raw_mode(status.st_mode) {
        FileType::Fifo => true,
        FileType::CharacterDevice => (136..=143).contains(&rustix::fs::major(status.st_rdev)),
        _ => false,
    };
    is_own.then_some(status.st_uid)
}

fn write_proc(proc: Option<BorrowedFd<'_>>, file: &str, content: &str) -> io::Result<()> {
    proc.map_or_else(|| Err(Errno::NOENT.into()), |proc| write_own(proc, file, content))
}

/// Writes to a file of the caller's own directory in a procfs, reached without any link.
fn write_own(proc: BorrowedFd<'_>, file: &str, content: &str) -> io::Result<()> {
    let path = format!("{}/{file}", rustix::process::getpid().as_raw_nonzero());
    let file = open_beneath(proc, Path::new(&path), OFlags::WRONLY)?;
    if rustix::fs::fstatfs(file.as_fd())?.f_type != PROC_MAGIC {
        return Err(Errno::INVAL.into());
    }
    std::fs::File::from(file).write_all(content.as_bytes())
}
