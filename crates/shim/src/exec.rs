//! One further process in the container, with a session of its own.

use std::time::{Duration, Instant};

use model::{ExecId, Exit, ProcessReference, Signal, Timestamp};
use runtime::{Process, ProcessExit};
use shim_protocol::Notice;

use crate::event_loop::EventLoop;
use crate::session::Session;

/// A process that is left behind by an exec may hold its output open for ever. What it wrote until the
/// exec ended is there; after so much silence the exec counts as over…
const SILENCE: Duration = Duration::from_millis(50);

/// …and after this time in any case.
const LONGEST: Duration = Duration::from_secs(1);

/// The exit of a process that was killed, as shells give it.
const KILLED: ProcessExit = ProcessExit { code: 137, signal: Some(Signal::KILL) };

/// A further process and its stdio.
pub(crate) struct Exec {
    pub(crate) id: ExecId,
    process: Process,
    pub(crate) session: Session,
    state: State,
}

/// ```text
/// Running ──process ends──→ Draining ──output is over or silent──→ Reported
/// ```
enum State {
    Running,
    Draining(Exit, Instant),
    /// Its end was reported. The output of other processes is thrown away, so that they do not get SIGPIPE.
    Reported,
}

impl Exec {
    pub(crate) const fn new(id: ExecId, process: Process, session: Session) -> Self {
        Self { id, process, session, state: State::Running }
    }

    /// Its process.
    pub(crate) const fn process(&self) -> ProcessReference {
        self.process.reference()
    }

    /// Whether its process runs, as far as has been noticed.
    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// Whether this is its process, not yet waited for.
    pub(crate) const fn is_running_as(&self, pid: u32) -> bool {
        self.is_running() && self.process.reference().pid == pid
    }

    /// Its process may have ended: takes the exit and what it wrote.
    pub(crate) fn look(&mut self, shared: &mut EventLoop) {
        if !self.is_running() {
            return;
        }
        match self.process.try_wait() {
            Ok(Some(ended)) => self.drain(ended, shared.now + LONGEST, shared),
            Ok(None) => {}
            Err(_) => self.drain(KILLED, shared.now + LONGEST, shared),
        }
    }

    /// The container is over: its process is dead, and nothing more is waited for.
    pub(crate) fn cut_off(&mut self, shared: &mut EventLoop) {
        self.look(shared);
        if self.is_running() {
            self.drain(KILLED, shared.now, shared);
        }
        self.session.close_outputs();
    }

    fn drain(&mut self, ended: ProcessExit, latest: Instant, shared: &mut EventLoop) {
        let _ = shared.poller.remove(&self.process);
        let finished_at = Timestamp::now();
        let exit = Exit { code: ended.code, signal: ended.signal, out_of_memory: false, finished_at };
        self.state = State::Draining(exit, latest);
        self.session.drain(shared);
    }

    /// Its end, once, when its output is over.
    pub(crate) fn report(&mut self, shared: &mut EventLoop) -> Option<Notice> {
        let State::Draining(exit, latest) = &self.state else {
            return None;
        };
        let silent_at = self.session.output_at() + SILENCE;
        let over = !self.session.has_open_outputs(shared);
        if !over && shared.now < silent_at && shared.now < *latest {
            shared.alarm.set(silent_at.min(*latest));
            return None;
        }
        let notice = Notice::ExecExited { exec: self.id.clone(), exit: exit.clone() };
        self.state = State::Reported;
        self.session.end(shared);
        Some(notice)
    }

    /// Whether it is not needed any more.
    pub(crate) fn is_done(&mut self, shared: &mut EventLoop) -> bool {
        matches!(self.state, State::Reported)
            && !self.session.has_clients()
            && !self.session.has_open_outputs(shared)
    }
}
