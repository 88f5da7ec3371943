//! One probe that runs: its reaper, its output, its end.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use model::{ExecId, ProcessSpec, Signal, Timestamp};
use runtime::{Process, ProcessExit, Running, StartError, Stdio};
use sys::epoll::{Interest, Poller};
use sys::seqpacket::set_nonblocking;
use sys::stream;

use super::output::ProbeOutput;
use crate::event_loop::{EventLoop, READ_SIZE};
use crate::token::{ProbePart, Token};

/// How many reads a probe gets before others have their turn.
const TURN: usize = 32;

/// How long the exit of a reaper that has closed its last descriptor is waited for at most.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a probe does not run.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// Its process could not be started.
    Start(StartError),
    /// The shim's own means ran out.
    System(io::Error),
}

/// A probe that runs.
pub(crate) struct Probe {
    /// The exec that it is, for daemons.
    pub(crate) exec: ExecId,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it has taken too long.
    pub(crate) deadline: Instant,
    /// The parent of its process.
    pub(crate) reaper: Process,
    /// Its output.
    pub(crate) output: ProbeOutput,
    end: OwnedFd,
    /// Where both its outputs arrive; `None` when nothing is taken any more.
    output_pipe: Option<OutputPipe>,
}

/// The pipe of a probe's outputs. The shim has both ends, so that it is woken by what comes, but not by the probe's end,
/// which the reaper reports.
pub(crate) struct OutputPipe {
    read: OwnedFd,
    _write: OwnedFd,
}

/// How far a probe has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeStatus {
    /// Its process runs.
    Running,
    /// Its process has ended with this exit code and has left others behind.
    Exited(i32),
    /// Its reaper has ended and nothing is left: with the exit code of its process, if that was not killed with it and
    /// the exit could be taken.
    Reaped(Option<i32>),
}

impl Probe {
    /// Starts a probe in a container; waits for its program at most so long.
    ///
    /// # Errors
    /// [`Obstacle`] when it does not run.
    pub(crate) fn start(
        running: &Running,
        (process, null): (&ProcessSpec, &OwnedFd),
        patience: Duration,
    ) -> Result<(runtime::Probe, OutputPipe), Obstacle> {
        let (pipe, stdio) = streams(null).map_err(Obstacle::System)?;
        let probe = running.probe(process, stdio, patience).map_err(Obstacle::Start)?;
        Ok((probe, pipe))
    }

    /// Waits for the outcome of a started probe.
    ///
    /// # Errors
    /// [`Obstacle`] when that is not possible; it is killed then.
    pub(crate) fn watch(
        (probe, pipe): (runtime::Probe, OutputPipe),
        (exec, began, deadline): (ExecId, Timestamp, Instant),
        shared: &EventLoop,
    ) -> Result<Self, Obstacle> {
        let runtime::Probe { reaper, end } = probe;
        let watch = |descriptor: &OwnedFd, part| {
            set_nonblocking(descriptor)?;
            shared.poller.add(descriptor, Token::Probe(part).pack(), Interest::READ)
        };
        let watched = watch(&end, ProbePart::End).and_then(|()| watch(&pipe.read, ProbePart::Output));
        watched.map_err(|error| {
            // What it started ends with it.
            let _ = reaper.signal(Signal::KILL);
            Obstacle::System(error)
        })?;
        let (output, output_pipe) = (ProbeOutput::default(), Some(pipe));
        Ok(Self { exec, began, deadline, reaper, output, end, output_pipe })
    }

    /// Reads what it has written, within reason.
    pub(crate) fn read_output(&mut self, shared: &mut EventLoop) {
        for _ in 0..TURN {
            let Some(pipe) = &self.output_pipe else { return };
            match stream::read(&pipe.read, &mut shared.scratch) {
                Ok(count @ 1..) => {
                    self.output.push(&shared.scratch[..count]);
                    if count < READ_SIZE {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => self.stop_reading(&shared.poller),
            }
        }
    }

    /// Closes the output: later writers get SIGPIPE.
    pub(crate) fn stop_reading(&mut self, poller: &Poller) {
        if let Some(pipe) = self.output_pipe.take() {
            let _ = poller.remove(&pipe.read);
        }
    }

    /// The reaper's reports since the last call.
    pub(crate) fn status(&self) -> ProbeStatus {
        let mut code = [0; size_of::<i32>()];
        match stream::read(&self.end, &mut code) {
            Ok(4) => ProbeStatus::Exited(i32::from_ne_bytes(code)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ProbeStatus::Running,
            Ok(_) | Err(_) => {
                let exit = self.take_exit().ok().flatten().filter(|exit| exit.signal.is_none());
                ProbeStatus::Reaped(exit.map(|exit| exit.code))
            }
        }
    }

    /// Takes the exit of the reaper, which has closed its last descriptor: it ends within microseconds.
    ///
    /// A zombie that is traced is invisible to its parent until the tracer detaches (ptrace(2)), so this never
    /// waits for the exit itself: an exit that cannot be taken now is reaped later as that of an orphan.
    fn take_exit(&self) -> io::Result<Option<ProcessExit>> {
        // Where that cannot be waited for, it may have come already.
        let _ = Poller::new().and_then(|poller| {
            poller.add(&self.reaper, 0, Interest::READ)?;
            poller.wait(&mut Vec::new(), Some(EXIT_TIMEOUT))
        });
        self.reaper.try_wait()
    }

    /// Waits for nothing more of it.
    pub(crate) fn let_go(mut self, poller: &Poller) {
        self.stop_reading(poller);
        let _ = poller.remove(&self.end);
    }
}

/// The probe's streams, of which the first is nothing, and the pipe at which both its outputs arrive.
fn streams(null: &OwnedFd) -> io::Result<(OutputPipe, Stdio)> {
    let (read, write) = stream::pipe(READ_SIZE)?;
    let (stdin, stdout, stderr) = (null.try_clone()?, write.try_clone()?, write.try_clone()?);
    Ok((OutputPipe { read, _write: write }, Stdio::Streams { stdin, stdout, stderr }))
}
