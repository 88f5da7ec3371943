//! The requests of the daemon, one by one.

use std::os::fd::OwnedFd;

use model::Signal;
use runtime::{CgroupError, Running};
use shim_protocol::{Answer, Attach, Envelope, Failure, FailureKind, Notice, Request};

use crate::supervisor::{Phase, Supervisor};

impl Supervisor {
    /// Handles a request and replies.
    pub(crate) fn answer(&mut self, envelope: Envelope, descriptor: Option<OwnedFd>) {
        let Envelope { number, request } = envelope;
        match request {
            Request::Hello { protocol } => {
                self.shared.daemon.speaks(protocol);
                self.reply(number, Ok(Answer::Done));
                self.report_health();
            }
            Request::Start { interface } => {
                let begins = matches!(self.phase, Phase::Waiting(_));
                let result = match self.phase {
                    // Sent again after a lost connection: a notice has reported the result.
                    Phase::Waiting(_) | Phase::Running(_) | Phase::Over(Notice::Exited(_)) => {
                        Ok(Answer::Done)
                    }
                    Phase::Over(_) => Err(wrong_state("the container was not started")),
                };
                self.reply(number, result);
                if begins {
                    self.start(interface.as_ref());
                }
            }
            Request::Release => self.release(number),
            other => {
                let result = self.perform(other, descriptor);
                self.reply(number, result);
            }
        }
    }

    /// The daemon is of a newer release than this shim.
    pub(crate) fn refuse_unknown(&mut self, number: u64) {
        let message = "the container's shim is of an older release and does not know this request";
        let failure = Failure { kind: FailureKind::Unsupported, message: message.to_owned() };
        self.reply(number, Err(failure));
    }

    fn reply(&mut self, number: u64, result: Result<Answer, Failure>) {
        self.shared.daemon.notify(&Notice::Reply { number, result }, None, &self.shared.poller);
    }

    fn perform(&mut self, request: Request, descriptor: Option<OwnedFd>) -> Result<Answer, Failure> {
        match request {
            Request::Attach(attach) => self.attach(attach, descriptor),
            Request::Exec(exec) => self.start_exec(*exec, descriptor),
            Request::Step(step) => self.start_step(*step, descriptor),
            Request::ExecResize { exec, height, width } => self.resize_exec(&exec, height, width),
            Request::Resize { height, width } => self.resize(height, width),
            Request::Signal(signal) => self.signal(signal),
            Request::Pause => {
                let done = self.with_cgroup(|running| running.cgroup().freeze())?;
                self.suspend_health();
                Ok(done)
            }
            Request::Unpause => {
                let done = self.with_cgroup(|running| running.cgroup().thaw())?;
                self.resume_health();
                Ok(done)
            }
            Request::Update(resources) => self.with_cgroup(|running| running.cgroup().update(&resources)),
            Request::Statistics => {
                let statistics = self.running()?.statistics().map_err(|error| system(&error))?;
                Ok(Answer::Statistics(Box::new(statistics)))
            }
            Request::Processes => {
                let processes = self.running()?.cgroup().processes().map_err(|error| system(&error))?;
                Ok(Answer::Processes(processes))
            }
            Request::Execs => Ok(Answer::Execs(self.running_execs())),
            Request::ReopenLog => self.reopen_log(),
            Request::Names(service) => self.set_names(service.map(|service| *service)),
            Request::Relay(ports) => self.set_relay(&ports),
            Request::Hello { .. } | Request::Start { .. } | Request::Release => {
                Err(wrong_state("not a request of this kind"))
            }
        }
    }

    fn running(&self) -> Result<&Running, Failure> {
        match &self.phase {
            Phase::Running(running) => Ok(running),
            Phase::Waiting(_) | Phase::Over(_) => Err(wrong_state("the container is not running")),
        }
    }

    fn reopen_log(&mut self) -> Result<Answer, Failure> {
        self.running()?;
        match self.init.log().reopen() {
            Ok(true) => Ok(Answer::Done),
            Ok(false) => Err(wrong_state("the container's log is not one that others rotate")),
            Err(error) => Err(Failure {
                kind: FailureKind::System,
                message: format!("cannot open the log again: {error}"),
            }),
        }
    }

    fn with_cgroup(&self, act: impl FnOnce(&Running) -> Result<(), CgroupError>) -> Result<Answer, Failure> {
        act(self.running()?).map(|()| Answer::Done).map_err(|error| system(&error))
    }

    /// A container that has ended just now is no error: the notice of its exit is on its way.
    fn signal(&self, signal: Signal) -> Result<Answer, Failure> {
        match self.phase {
            Phase::Over(Notice::Exited(_)) => Ok(Answer::Done),
            Phase::Over(_) | Phase::Waiting(_) | Phase::Running(_) => {
                self.with_cgroup(|running| running.signal(signal))
            }
        }
    }

    fn resize(&self, rows: u16, columns: u16) -> Result<Answer, Failure> {
        self.running()?;
        match self.init.resize(rows, columns) {
            Ok(_) => Ok(Answer::Done),
            Err(error) => Err(Failure { kind: FailureKind::System, message: error.to_string() }),
        }
    }

    /// A client can also join a container that has ended just now: it gets the log if it requested it, and
    /// the end.
    fn attach(&mut self, attach: Attach, client: Option<OwnedFd>) -> Result<Answer, Failure> {
        if matches!(self.phase, Phase::Over(Notice::StartFailed { .. })) {
            return Err(wrong_state("the container was not started"));
        }
        let Some(client) = client else {
            return Err(Failure {
                kind: FailureKind::System,
                message: "no client came with the request".into(),
            });
        };
        if self.init.has_client(attach.client) {
            return Ok(Answer::Done);
        }
        match self.init.attach(attach, client, &mut self.shared) {
            Ok(()) => Ok(Answer::Done),
            Err(error) => Err(Failure { kind: FailureKind::System, message: error.to_string() }),
        }
    }

    /// The daemon needs nothing more. Its run directory may go when it has the reply, so the socket
    /// there goes first.
    fn release(&mut self, number: u64) {
        match self.phase {
            Phase::Running(_) => {
                return self.reply(number, Err(wrong_state("the container is running")));
            }
            Phase::Waiting(_) => self.abandon("the start was given up"),
            Phase::Over(_) => {}
        }
        self.shared.daemon.stop_listening(&self.shared.poller);
        // The daemon closes its own behind the reply, and then a volume without other users is no longer mounted,
        // however long the shim stays for slow clients.
        self.held_mounts.clear();
        self.reply(number, Ok(Answer::Done));
        self.released = true;
    }
}

fn wrong_state(message: &str) -> Failure {
    Failure { kind: FailureKind::WrongState, message: message.to_owned() }
}

fn system(error: &CgroupError) -> Failure {
    Failure { kind: FailureKind::System, message: error.to_string() }
}
