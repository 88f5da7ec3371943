//! Further processes in the container, each with a session of its own.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use model::{ExecId, Exit, Timestamp};
use runtime::{ExecRequest, Process, ProcessExit};
use shim_protocol::{Answer, Failure, FailureKind, Notice};
use sys::epoll::Interest;

use crate::log::Log;
use crate::session::stdio::{self, Wanted};
use crate::session::{Manner, Session};
use crate::start::start_failure;
use crate::supervisor::{Phase, Supervisor};
use crate::token::{Owner, Part, Token};

/// A process that is left behind by an exec may hold its output open for ever. What it wrote until the
/// exec ended is there; after so much silence the exec counts as over…
const SILENCE: Duration = Duration::from_millis(50);

/// …and after this time in any case.
const LONGEST: Duration = Duration::from_secs(1);

/// At most so many ends of execs are kept for the next daemon.
const MAXIMUM_UNHEARD: usize = 1024;

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
    /// The daemon knows. What others still write is thrown away, so that they do not break.
    Reported,
}

impl Exec {
    /// Whether this is its process, not yet waited for.
    pub(crate) const fn is_running_as(&self, pid: u32) -> bool {
        matches!(self.state, State::Running) && self.process.reference().pid == pid
    }
}

impl Supervisor {
    /// Starts a further process.
    pub(crate) fn start_exec(
        &mut self,
        exec: shim_protocol::Exec,
        client: Option<OwnedFd>,
    ) -> Result<Answer, Failure> {
        let system =
            |error: std::io::Error| Failure { kind: FailureKind::System, message: error.to_string() };
        let Phase::Running(running) = &self.phase else {
            return Err(Failure {
                kind: FailureKind::WrongState,
                message: "the container is not running".into(),
            });
        };
        let terminal = exec.process.terminal;
        let attach = exec.attach.filter(|_| client.is_some());
        let wants = |wanted: fn(&shim_protocol::Attach) -> bool| attach.as_ref().is_some_and(wanted);
        let wanted = Wanted {
            stdin: wants(|attach| attach.stdin),
            stdout: wants(|attach| attach.stdout),
            stderr: wants(|attach| attach.stderr),
        };
        let (theirs, ours) = stdio::make(terminal, wanted).map_err(system)?;
        let request = ExecRequest { process: &exec.process, privileged: exec.privileged };
        let started = self
            .protection
            .lifted(|| running.exec(&request, theirs))
            .map_err(|error| start_failure(&error).0)?;
        let owner = self.next_exec;
        self.next_exec += 1;
        let token = Token::Session(owner, Part::Process).pack();
        self.shared.poller.add(&started.process, token, Interest::READ).map_err(system)?;
        let manner = Manner { owner, terminal, input_once: true };
        let mut session = Session::new(manner, ours, wanted.stdin, Log::nothing(), &mut self.shared);
        if let Some(master) = started.terminal {
            session.open_terminal(master, &mut self.shared).map_err(system)?;
        }
        if let (Some(attach), Some(client)) = (attach, client) {
            session.attach(attach, client, &mut self.shared).map_err(system)?;
        }
        let process = started.process.reference();
        let exec = Exec { id: exec.id, process: started.process, session, state: State::Running };
        self.execs.insert(owner, exec);
        Ok(Answer::ExecStarted { process })
    }

    /// Sets the size of an exec's terminal.
    pub(crate) fn resize_exec(&self, id: &ExecId, rows: u16, columns: u16) -> Result<Answer, Failure> {
        let missing = || Failure { kind: FailureKind::NotFound, message: "the exec has ended".to_owned() };
        let running = |exec: &&Exec| exec.id == *id && matches!(exec.state, State::Running);
        let exec = self.execs.values().find(running).ok_or_else(missing)?;
        match exec.session.resize(rows, columns) {
            Ok(_) => Ok(Answer::Done),
            Err(error) => Err(Failure { kind: FailureKind::System, message: error.to_string() }),
        }
    }

    /// An exec's process may have ended.
    pub(crate) fn on_exec_end(&mut self, owner: Owner) {
        let Some(exec) = self.execs.get_mut(&owner).filter(|exec| matches!(exec.state, State::Running))
        else {
            return;
        };
        let ended = match exec.process.try_wait() {
            Ok(Some(ended)) => ended,
            Ok(None) => return,
            Err(_) => ProcessExit { code: 137, signal: None },
        };
        let _ = self.shared.poller.remove(&exec.process);
        let exit = Exit {
            code: ended.code,
            signal: ended.signal,
            out_of_memory: false,
            finished_at: Timestamp::now(),
        };
        exec.state = State::Draining(exit, self.shared.now + LONGEST);
        exec.session.drain(&mut self.shared);
        self.settle_exec(owner);
    }

    /// Reports an exec whose output is over, forgets one that nobody needs any more.
    pub(crate) fn settle_exec(&mut self, owner: Owner) {
        let Some(exec) = self.execs.get_mut(&owner) else {
            return;
        };
        if let State::Draining(exit, latest) = &exec.state {
            let silent_at = exec.session.output_at() + SILENCE;
            let over = !exec.session.has_open_outputs(&mut self.shared);
            if !over && self.shared.now < silent_at && self.shared.now < *latest {
                self.shared.alarm.set(silent_at.min(*latest));
                return;
            }
            let notice = Notice::ExecExited { exec: exec.id.clone(), exit: exit.clone() };
            exec.state = State::Reported;
            exec.session.end(&mut self.shared);
            self.report(notice);
        }
        let Some(exec) = self.execs.get_mut(&owner) else {
            return;
        };
        if matches!(exec.state, State::Reported)
            && !exec.session.has_clients()
            && !exec.session.has_open_outputs(&mut self.shared)
        {
            self.execs.remove(&owner);
            self.shared.settle_down();
        }
    }

    fn report(&mut self, notice: Notice) {
        if self.shared.daemon.is_connected() {
            self.shared.daemon.notify(&notice, None, &self.shared.poller);
        } else if self.unheard.len() < MAXIMUM_UNHEARD {
            self.unheard.push(notice);
        }
    }

    /// The container is over: its execs are dead. Reports each.
    pub(crate) fn end_execs(&mut self) {
        let owners: Vec<Owner> = self.execs.keys().copied().collect();
        for owner in owners {
            self.on_exec_end(owner);
            if let Some(exec) = self.execs.get_mut(&owner) {
                if let State::Running = exec.state {
                    let killed = Exit {
                        code: 137,
                        signal: Some(model::Signal::KILL),
                        out_of_memory: false,
                        finished_at: Timestamp::now(),
                    };
                    exec.state = State::Draining(killed, self.shared.now);
                }
                exec.session.close_outputs();
            }
            self.settle_exec(owner);
        }
    }
}
