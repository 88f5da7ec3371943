//! The messages between daemon and shim.

use std::path::PathBuf;

use model::{
    ContainerSpec, ExecId, Exit, Health, HealthStatus, InterfaceConfig, ProbeResult, ProcessReference,
    ProcessSpec, Signal, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::RelayedPort;
use crate::names::NameService;

pub use model::{BlockCounter, InterfaceCounters, Statistics};

/// The descriptor number at which a new shim finds its control socket.
pub const CONTROL_DESCRIPTOR: i32 = 3;

/// The first argument of a shim that waits for its run directory: the first packet on its control socket is the path,
/// as bytes, and what follows is the conversation of any shim. Arguments behind it only have the length of those that it
/// shows then. The daemon and its shims are of one release here.
pub const PARKED: &str = "--parked";

/// The same with a network namespace made ahead.
pub const PARKED_WITH_NETWORK: &str = "--parked=network";

/// No packet is larger than this, in bytes.
pub const MAXIMUM_PACKET: usize = 192 * 1024;

/// Daemon to shim: a request and the number its [`Notice::Reply`] carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// Chosen by the daemon, unique on this connection.
    pub number: u64,
    /// The request itself.
    pub request: Request,
}

/// The requests of the daemon. Each gets exactly one [`Notice::Reply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The daemon's first request, once it has read [`Notice::Hello`]: its protocol.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
    },
    /// Let init execute the container's program. Reply at once; [`Notice::Started`] or
    /// [`Notice::StartFailed`] follows. Sent again after a lost connection, it changes nothing.
    Start {
        /// The interface that init configures inside; `None` has only a loopback.
        interface: Option<InterfaceConfig>,
    },
    /// Send a signal to the container's init; kills also every other process where init is
    /// not a PID 1 of its own. Works on a paused container (it is thawed for SIGKILL).
    Signal(Signal),
    /// Freeze all processes; the reply comes when they are frozen.
    Pause,
    /// Thaw all processes.
    Unpause,
    /// Change limits of the running container.
    Update(Box<model::Resources>),
    /// Join a client to the container's stdio; one descriptor (the client's socket) beside it. A client
    /// that is joined already is not joined again.
    Attach(Attach),
    /// Set the terminal's size.
    Resize {
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Start a further process; with `attach`, one descriptor beside it. Reply when it runs or
    /// failed: [`Answer::ExecStarted`] or [`Failure`]. One that was started already is not started again.
    Exec(Box<Exec>),
    /// Start a process with a root and namespaces of its own, in the container's cgroups and network; with `attach`, one
    /// descriptor beside it. Replies and reports are those of an exec. From protocol 8 on.
    Step(Box<Step>),
    /// Set the size of an exec's terminal.
    ExecResize {
        /// Which exec.
        exec: ExecId,
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Read the cgroup's counters: [`Answer::Statistics`].
    Statistics,
    /// List the host's numbers of all processes of the container: [`Answer::Processes`].
    Processes,
    /// List the execs that run: [`Answer::Execs`]. From protocol 2 on.
    Execs,
    /// Answer names in the container's network namespace from now on like this; `None` answers nothing any
    /// more. Possible before the start, so that the container's program finds it, and while the container
    /// runs. [`FailureKind::Refused`] in the host's network namespace. From protocol 3 on.
    Names(Option<Box<NameService>>),
    /// Open the log's file again under its name: it has been moved away. [`FailureKind::WrongState`] for a log
    /// that the shim rotates itself, and when the container does not run. From protocol 5 on.
    ReopenLog,
    /// Relay these published ports from now on, and no others: listeners that stay are not touched. Possible before the
    /// start and while the container runs; they close when it ends. From protocol 6 on.
    Relay(Vec<RelayedPort>),
    /// The daemon has recorded the exit (or the failed start): remove cgroup and socket, end.
    Release,
}

impl Request {
    /// The protocol that first had this kind of request. A shim with an older one must not get it.
    #[must_use]
    pub const fn since(&self) -> u32 {
        match self {
            Self::Step(_) => 8,
            Self::Relay(_) => 6,
            Self::ReopenLog => 5,
            Self::Names(_) => 3,
            Self::Hello { .. } | Self::Execs => 2,
            Self::Start { .. }
            | Self::Signal(_)
            | Self::Pause
            | Self::Unpause
            | Self::Update(_)
            | Self::Attach(_)
            | Self::Resize { .. }
            | Self::Exec(_)
            | Self::ExecResize { .. }
            | Self::Statistics
            | Self::Processes
            | Self::Release => 1,
        }
    }
}

/// How a client is joined to a process's stdio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Chosen by the daemon, unique for this shim's life; names the client in notices.
    pub client: u64,
    /// The client's data becomes the process's input.
    pub stdin: bool,
    /// The client gets the process's output…
    pub stdout: bool,
    /// …and its error output.
    pub stderr: bool,
    /// First what was logged until now, then (with `stream`) what follows, without gap or overlap.
    pub logs: bool,
    /// Follow the process; without it the connection ends after `logs`.
    pub stream: bool,
    /// Each chunk has the 8-byte header of the specification's "stream details"; else raw bytes.
    pub framed: bool,
    /// Bytes that end the attachment when typed, on a terminal only; empty where no keys do.
    pub detach_keys: Vec<u8>,
    /// Bytes that came behind the request's headers and precede what the descriptor gives.
    pub early_input: Vec<u8>,
    /// Send only what the process writes, not why it could not be started.
    #[serde(default)]
    pub quiet: bool,
}

/// A further process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Its id.
    pub id: ExecId,
    /// The process.
    pub process: ProcessSpec,
    /// Run with all capabilities and without seccomp (`Privileged`).
    pub privileged: bool,
    /// Its client; `None` is detached, output is thrown away.
    pub attach: Option<Attach>,
}

/// A process with a root and namespaces of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its id among the container's execs.
    pub id: ExecId,
    /// Its root, namespaces and process. Its limits are the container's; its network is the host's, or that of
    /// a process.
    pub spec: ContainerSpec,
    /// Its client; `None` is detached, output is thrown away.
    pub attach: Option<Attach>,
}

/// Shim to daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The shim's first packet on every connection: its protocol.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
    },
    /// The answer to the request of this number.
    Reply {
        /// The request's number.
        number: u64,
        /// The outcome.
        result: Result<Answer, Failure>,
    },
    /// Namespaces, cgroup and mounts are made; init waits. The container's network namespace is
    /// the descriptor beside it (only with a namespace of its own, only on the first connection
    /// before the start).
    Created {
        /// Init.
        init: ProcessReference,
        /// The container's cgroup directories, one a hierarchy.
        cgroups: Vec<PathBuf>,
    },
    /// Init runs the container's program.
    Started {
        /// When.
        at: Timestamp,
    },
    /// The container could not be made or its program not be run. Everything made is undone.
    StartFailed {
        /// The text for clients after `[8] System error: `, for example `exec: "x": executable file not found
        /// in $PATH`.
        failure: Failure,
        /// 127: program not found; 126: cannot be executed; 128: any other cause.
        exit_code: i32,
        /// When.
        at: Timestamp,
    },
    /// Init has ended, its output is drained and logged, every other process of the container is
    /// gone, and the exit record is on disk.
    Exited(Exit),
    /// The kernel killed a process of the container for memory.
    OutOfMemory,
    /// An exec has ended and its output is drained.
    ExecExited {
        /// Which.
        exec: ExecId,
        /// How.
        exit: Exit,
    },
    /// A client is gone from the process's stdio.
    Detached {
        /// The number its [`Attach`] carried.
        client: u64,
        /// Why.
        reason: DetachReason,
    },
    /// Lines that a remote log server did not take so far.
    LogDropped {
        /// All since the start.
        lines: u64,
    },
    /// The log's file has reached its size and cannot be rotated: it grows. It is tried again. From
    /// protocol 2 on.
    LogNotRotated {
        /// Why.
        error: String,
    },
    /// A probe of the container's health begins. From protocol 4 on.
    ProbeStarted {
        /// The exec that it is.
        exec: ExecId,
    },
    /// A probe of the container's health has ended. From protocol 4 on.
    Probed(Box<Probed>),
    /// The container's health as it is when a daemon connects. From protocol 4 on.
    Health(Box<Health>),
}

/// The outcome of a probe, and the container's health after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The exec that it was.
    pub exec: ExecId,
    /// The exit code of its process, as in a shell's `$?`, if there was one.
    pub exit_code: i32,
    /// The shown result.
    pub result: ProbeResult,
    /// The container's health now.
    pub status: HealthStatus,
    /// How many probes failed one after the other.
    pub failing_streak: u32,
}

impl Notice {
    /// The protocol that first had this kind of notice. A daemon with an older one does not get it, except
    /// for [`Self::Hello`], which every daemon gets first and older ones ignore.
    #[must_use]
    pub const fn since(&self) -> u32 {
        match self {
            Self::ProbeStarted { .. } | Self::Probed(_) | Self::Health(_) => 4,
            Self::LogNotRotated { .. } => 2,
            Self::Hello { .. }
            | Self::Reply { .. }
            | Self::Created { .. }
            | Self::Started { .. }
            | Self::StartFailed { .. }
            | Self::Exited(_)
            | Self::OutOfMemory
            | Self::ExecExited { .. }
            | Self::Detached { .. }
            | Self::LogDropped { .. } => 1,
        }
    }
}

/// Why a client is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetachReason {
    /// It typed the detach keys.
    Keys,
    /// It closed its connection or the connection broke.
    Closed,
    /// All that it requested was sent (the process ended, or logs without stream).
    Finished,
}

/// A successful answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Done,
    /// The exec's process runs.
    ExecStarted {
        /// The host's number of it.
        process: ProcessReference,
    },
    /// The counters.
    Statistics(Box<Statistics>),
    /// The host's process numbers.
    Processes(Vec<u32>),
    /// The execs that run, and their processes.
    Execs(Vec<(ExecId, ProcessReference)>),
}

/// Why a request failed, in words for the client, with the kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// Words for the client, without the reference's prefix.
    pub message: String,
}

/// The kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The program does not exist in the container (exit code 127).
    ProgramNotFound,
    /// The program cannot be executed (exit code 126).
    ProgramNotExecutable,
    /// The user or group is not in the container's files.
    UserNotFound,
    /// The kernel reports that a device or directory does not exist.
    NotFound,
    /// Something that the client named does not exist, an exec or a part of a volume; the message is complete.
    Missing,
    /// Not possible in this state.
    WrongState,
    /// The request cannot be fulfilled in this container; the message is complete.
    Refused,
    /// The kernel refused.
    System,
    /// The request is unknown to the shim: it is of an older release than the daemon.
    Unsupported,
    /// A kind that is unknown to this release: the shim is of a newer release than the daemon.
    #[serde(other)]
    Unknown,
}
