//! Starts, resizes, reports and drops the container's further processes.

use std::io;
use std::os::fd::OwnedFd;

use model::{ExecId, ProcessReference};
use runtime::{ExecRequest, Running, StartError, Stdio};
use shim_protocol::{Answer, Attach, Failure, FailureKind, Notice};
use sys::epoll::Interest;

use crate::exec::Exec;
use crate::log::Log;
use crate::session::stdio::{self, Wanted};
use crate::session::{Session, SessionOptions};
use crate::start::start_failure;
use crate::supervisor::{Phase, Supervisor};
use crate::token::{Owner, Part, Token};

/// At most so many ends of execs are kept for the next daemon while there is none…
const MAXIMUM_KEPT: usize = 1024;

/// …and so many while there is one.
const KEPT_WHILE_CONNECTED: usize = 128;

impl Supervisor {
    /// Starts a further process. One that a daemon requests again, since it lost the connection before the
    /// answer, is not started twice.
    pub(crate) fn start_exec(
        &mut self,
        exec: shim_protocol::Exec,
        client: Option<OwnedFd>,
    ) -> Result<Answer, Failure> {
        let shim_protocol::Exec { id, process, privileged, attach } = exec;
        let request = ExecRequest { process: &process, privileged };
        self.start_further(id, process.terminal, attach.zip(client), |running, stdio| {
            running.exec(&request, stdio)
        })
    }

    /// Starts a process with a root and namespaces of its own, as [`Self::start_exec`] starts one in the container's.
    pub(crate) fn start_step(
        &mut self,
        step: shim_protocol::Step,
        client: Option<OwnedFd>,
    ) -> Result<Answer, Failure> {
        let shim_protocol::Step { id, spec, attach } = step;
        let terminal = spec.process.terminal;
        self.start_further(id, terminal, attach.zip(client), |running, stdio| running.step(&spec, stdio))
    }

    fn start_further(
        &mut self,
        id: ExecId,
        terminal: bool,
        client: Option<(Attach, OwnedFd)>,
        start: impl FnOnce(&Running, Stdio) -> Result<runtime::Exec, StartError>,
    ) -> Result<Answer, Failure> {
        let Phase::Running(running) = &self.phase else {
            return Err(failure(FailureKind::WrongState, "the container is not running"));
        };
        if let Some(known) = self.execs.values().find(|known| known.id == id) {
            return Ok(Answer::ExecStarted { process: known.process() });
        }
        if self.has_ended(&id) {
            return Ok(Answer::Done);
        }
        let wants = |of: fn(&Attach) -> bool| client.as_ref().is_some_and(|(attach, _)| of(attach));
        let wanted = Wanted {
            stdin: wants(|attach| attach.stdin),
            stdout: wants(|attach| attach.stdout),
            stderr: wants(|attach| attach.stderr),
        };
        let (theirs, ours) = stdio::make(terminal, wanted).map_err(system)?;
        let started =
            self.protection.lifted(|| start(running, theirs)).map_err(|error| start_failure(&error).0)?;
        let owner = self.next_exec;
        self.next_exec += 1;
        let token = Token::Session(owner, Part::Process).pack();
        self.shared.poller.add(&started.process, token, Interest::READ).map_err(system)?;
        let options = SessionOptions { owner, terminal, input_once: true };
        let mut session = Session::new(options, ours, wanted.stdin, Log::nothing(), &mut self.shared);
        if let Some(master) = started.terminal {
            session.open_terminal(master, &mut self.shared).map_err(system)?;
        }
        if let Some((attach, client)) = client {
            session.attach(attach, client, &mut self.shared).map_err(system)?;
        }
        let process = started.process.reference();
        self.execs.insert(owner, Exec::new(id, started.process, session));
        Ok(Answer::ExecStarted { process })
    }

    /// Sets the size of an exec's terminal.
    pub(crate) fn resize_exec(&self, id: &ExecId, rows: u16, columns: u16) -> Result<Answer, Failure> {
        let exec = self.execs.values().find(|exec| exec.id == *id && exec.is_running());
        let exec = exec.ok_or_else(|| failure(FailureKind::Missing, "the exec has ended"))?;
        exec.session.resize(rows, columns).map(|_| Answer::Done).map_err(system)
    }

    /// The execs that run.
    pub(crate) fn running_execs(&self) -> Vec<(ExecId, ProcessReference)> {
        let running = self.execs.values().filter(|exec| exec.is_running());
        running.map(|exec| (exec.id.clone(), exec.process())).collect()
    }

    /// An exec's process may have ended.
    pub(crate) fn on_exec_end(&mut self, owner: Owner) {
        if let Some(exec) = self.execs.get_mut(&owner) {
            exec.look(&mut self.shared);
        }
        self.reap();
        self.settle_exec(owner);
    }

    /// Reports an exec whose output is over, and drops one that is not needed any more.
    pub(crate) fn settle_exec(&mut self, owner: Owner) {
        let Some(exec) = self.execs.get_mut(&owner) else {
            return;
        };
        let notice = exec.report(&mut self.shared);
        if exec.is_done(&mut self.shared) {
            self.execs.remove(&owner);
            self.shared.settle_down();
        }
        if let Some(notice) = notice {
            self.report_end(notice);
        }
    }

    fn report_end(&mut self, notice: Notice) {
        self.notify(&notice);
        if self.exec_ends.len() >= MAXIMUM_KEPT {
            self.exec_ends.pop_front();
        }
        self.exec_ends.push_back(notice);
        self.forget_old_exec_ends();
    }

    /// Keeps fewer ends of execs once a daemon has them.
    pub(crate) fn forget_old_exec_ends(&mut self) {
        if self.shared.daemon.is_connected() {
            let surplus = self.exec_ends.len().saturating_sub(KEPT_WHILE_CONNECTED);
            self.exec_ends.drain(..surplus);
        }
    }

    /// Whether an exec of this id has ended, as far back as ends are kept.
    fn has_ended(&self, id: &ExecId) -> bool {
        self.exec_ends.iter().any(|end| matches!(end, Notice::ExecExited { exec, .. } if exec == id))
    }

    /// The container is over: its execs are dead. Reports each.
    pub(crate) fn end_execs(&mut self) {
        let owners: Vec<Owner> = self.execs.keys().copied().collect();
        for owner in owners {
            if let Some(exec) = self.execs.get_mut(&owner) {
                exec.cut_off(&mut self.shared);
            }
            self.settle_exec(owner);
        }
    }
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn system(error: io::Error) -> Failure {
    failure(FailureKind::System, &error.to_string())
}
