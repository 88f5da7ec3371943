//! Makes the container, starts it, or reports why not.

use std::io;

use model::{Exit, InterfaceConfig, Timestamp};
use runtime::{Cgroup, Created, Given, Host, Running, StartError};
use shim_protocol::{Failure, FailureKind, Notice};
use sys::epoll::Interest;
use sys::process_title::ProcessTitle;

use crate::log::Log;
use crate::records;
use crate::session::stdio::{self, Wanted};
use crate::session::{Session, SessionOptions};
use crate::supervisor::{INIT, Phase, Supervisor};
use crate::token::{Part, Token};

impl Supervisor {
    pub(crate) fn create(&mut self) -> Result<(), (Failure, i32)> {
        let system = |act: &str, error: io::Error| {
            (Failure { kind: FailureKind::System, message: format!("{act}: {error}") }, 128)
        };
        let host = Host::default();
        let cgroup = match self.ahead.hierarchies.take() {
            Some(hierarchies) => Ok(Cgroup::within(hierarchies, &host, &self.spec)),
            None => Cgroup::of(&host, &self.spec),
        };
        let cgroup = cgroup.map_err(|error| start_failure(&error.into()))?;
        // Recorded before they are made: a daemon removes them if this shim is killed at any moment from
        // here.
        self.processes.cgroups = cgroup.directories().to_vec();
        self.write_processes()?;
        let log = Log::open(&self.spec.log, &self.spec).map_err(|error| {
            let message = format!("Failed to initialize logging driver: {error}");
            (Failure { kind: FailureKind::Refused, message }, 128)
        })?;
        let wanted = Wanted { stdin: self.spec.open_stdin, stdout: true, stderr: true };
        let terminal = self.spec.process.terminal;
        let (theirs, ours) = stdio::make(terminal, wanted).map_err(|error| system("making pipes", error))?;
        let options = SessionOptions { owner: INIT, terminal, input_once: self.spec.stdin_once };
        self.init = Session::new(options, ours, self.spec.open_stdin, log, &mut self.shared);
        let has_init = self.spec.init || self.spec.process.arguments.is_empty();
        let given = Given {
            stdio: theirs,
            held_mounts: &self.held_mounts,
            network: self.ahead.network.take(),
            title: if has_init { self.ahead.title.or_else(|| ProcessTitle::find().ok()) } else { None },
        };
        let mut created = runtime::create(&host, &self.spec, cgroup, given)
            // What the daemon gives to systemd has its limits already.
            .and_then(|created| if self.spec.scope.is_some() { created.limit() } else { Ok(created) })
            .map_err(|error| start_failure(&error))?;
        self.processes.init = Some(created.init());
        self.report_created(created.network_namespace());
        // While the daemon makes the network.
        created = created.limit().map_err(|error| start_failure(&error))?;
        self.watch_memory(&created);
        self.write_processes()?;
        self.phase = Phase::Waiting(created);
        Ok(())
    }

    fn write_processes(&self) -> Result<(), (Failure, i32)> {
        records::write_processes(&self.directory, &self.processes)
            .map_err(|error| (Failure { kind: FailureKind::System, message: error.to_string() }, 128))
    }

    fn watch_memory(&mut self, created: &Created) {
        // A host without the notice only loses the early word: the counters are read at the end as well.
        self.memory = created.cgroup().out_of_memory_notice().ok();
        if let Some(notice) = &self.memory {
            let _ = self.shared.poller.add(notice, Token::OutOfMemory.pack(), Interest::READ);
        }
    }

    /// Lets init go on.
    pub(crate) fn start(&mut self, interface: Option<&InterfaceConfig>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Over(Notice::OutOfMemory));
        let Phase::Waiting(created) = phase else {
            self.phase = phase;
            return;
        };
        let result =
            created.start(interface).map_err(|error| start_failure(&error)).and_then(|mut running| {
                if let Some(master) = running.take_terminal() {
                    self.init
                        .open_terminal(master, &mut self.shared)
                        .map_err(|error| terminal_failure(&error))?;
                }
                Ok(running)
            });
        match result {
            Ok(running) => self.on_started(running),
            Err((failure, exit_code)) => self.fail(failure, exit_code),
        }
    }

    pub(crate) fn on_started(&mut self, running: Running) {
        let token = Token::Session(INIT, Part::Process).pack();
        let _ = self.shared.poller.add(running.init(), token, Interest::READ);
        self.phase = Phase::Running(running);
        let at = Timestamp::now();
        self.started_at = Some(at);
        self.notify(&Notice::Started { at });
        self.begin_health();
        self.shared.settle_down();
    }

    /// The container was not made or not started; the runtime has undone it.
    pub(crate) fn fail(&mut self, failure: Failure, exit_code: i32) {
        let at = Timestamp::now();
        self.init.write_to_clients(&failure.message, &mut self.shared);
        self.init.end(&mut self.shared);
        self.memory = None;
        self.names = None;
        self.relay = None;
        let exit = Exit { code: exit_code, signal: None, out_of_memory: false, finished_at: at };
        let _ = records::write_exit(&self.directory, &exit);
        let notice = Notice::StartFailed { failure, exit_code, at };
        self.notify(&notice);
        self.phase = Phase::Over(notice);
    }

    /// Undoes a container that was never started.
    pub(crate) fn abandon(&mut self, why: &str) {
        let failure = Failure { kind: FailureKind::WrongState, message: why.to_owned() };
        // Dropping what waits at the gate kills and removes it.
        self.phase = Phase::Over(Notice::OutOfMemory);
        self.fail(failure, 128);
    }
}

/// The report of a failed start to the daemon, and the exit code.
pub(crate) fn start_failure(error: &StartError) -> (Failure, i32) {
    let kind = match error.failure() {
        runtime::FailureKind::ProgramNotFound => FailureKind::ProgramNotFound,
        runtime::FailureKind::ProgramNotExecutable => FailureKind::ProgramNotExecutable,
        runtime::FailureKind::UserNotFound => FailureKind::UserNotFound,
        runtime::FailureKind::NotFound => FailureKind::NotFound,
        runtime::FailureKind::Missing => FailureKind::Missing,
        runtime::FailureKind::Refused => FailureKind::Refused,
        runtime::FailureKind::System => FailureKind::System,
    };
    (Failure { kind, message: error.to_string() }, error.exit_code())
}

fn terminal_failure(error: &io::Error) -> (Failure, i32) {
    (Failure { kind: FailureKind::System, message: format!("opening the terminal: {error}") }, 128)
}
