//! Starts, resizes, reports and forgets the container's further processes.

use std::io;
use std::os::fd::OwnedFd;

use model::ExecId;
use runtime::ExecRequest;
use shim_protocol::{Answer, Attach, Failure, FailureKind, Notice};
use sys::epoll::Interest;

use crate::exec::Exec;
use crate::log::Log;
use crate::session::stdio::{self, Wanted};
use crate::session::{Manner, Session};
use crate::start::start_failure;
use crate::supervisor::{Phase, Supervisor};
use crate::token::{Owner, Part, Token};

/// At most so many ends of execs are kept for the next daemon.
const MAXIMUM_UNHEARD: usize = 1024;

impl Supervisor {
    /// Starts a further process.
    pub(crate) fn start_exec(
        &mut self,
        exec: shim_protocol::Exec,
        client: Option<OwnedFd>,
    ) -> Result<Answer, Failure> {
        let Phase::Running(running) = &self.phase else {
            return Err(failure(FailureKind::WrongState, "the container is not running"));
        };
        let terminal = exec.process.terminal;
        let client = exec.attach.zip(client);
        let wants = |of: fn(&Attach) -> bool| client.as_ref().is_some_and(|(attach, _)| of(attach));
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
        if let Some((attach, client)) = client {
            session.attach(attach, client, &mut self.shared).map_err(system)?;
        }
        let process = started.process.reference();
        self.execs.insert(owner, Exec::new(exec.id, started.process, session));
        Ok(Answer::ExecStarted { process })
    }

    /// Sets the size of an exec's terminal.
    pub(crate) fn resize_exec(&self, id: &ExecId, rows: u16, columns: u16) -> Result<Answer, Failure> {
        let exec = self.execs.values().find(|exec| exec.id == *id && exec.is_running());
        let exec = exec.ok_or_else(|| failure(FailureKind::NotFound, "the exec has ended"))?;
        exec.session.resize(rows, columns).map(|_| Answer::Done).map_err(system)
    }

    /// An exec's process may have ended.
    pub(crate) fn on_exec_end(&mut self, owner: Owner) {
        if let Some(exec) = self.execs.get_mut(&owner) {
            exec.look(&mut self.shared);
        }
        self.settle_exec(owner);
    }

    /// Reports an exec whose output is over, forgets one that nobody needs any more.
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
            self.tell_or_keep(notice);
        }
    }

    fn tell_or_keep(&mut self, notice: Notice) {
        if self.shared.daemon.is_connected() {
            self.tell(&notice);
        } else if self.unheard.len() < MAXIMUM_UNHEARD {
            self.unheard.push(notice);
        }
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
