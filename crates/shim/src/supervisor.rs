//! The shim's loop and the life of its container.
//!
//! ```text
//! Waiting ──Start──→ Running ──init ends──→ Over
//!    └── cannot be made or started, Release, no daemon ──↗
//! ```
//!
//! Over, the shim ends when the daemon releases it or is gone, and clients have taken what waits.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ContainerSpec, Exit, Timestamp};
use runtime::{Created, Host, OutOfMemoryNotice, ProcessExit, Running, StartError};
use shim_protocol::{Failure, FailureKind, Notice, RunDirectory, ShimProcesses};
use sys::child_signal::{ChildSignal, reap_strangers};
use sys::epoll::{Event, Interest};

use crate::error::ShimError;
use crate::exec::Exec;
use crate::log::Log;
use crate::records;
use crate::session::stdio::{self, Ends, Wanted};
use crate::session::{Manner, Session};
use crate::surroundings::Surroundings;
use crate::token::{Owner, Part, Token};

/// Init's session.
pub(crate) const INIT: Owner = 0;

/// How long a container that is not started waits for a daemon.
const DESERTED: Duration = Duration::from_secs(10);

/// How long a client may take nothing when the container is over.
const LINGER: Duration = Duration::from_secs(10);

/// How often the end looks at who lingers.
const LINGER_LOOK: Duration = Duration::from_millis(500);

/// What the container is doing.
pub(crate) enum Phase {
    /// Init waits at its gate.
    Waiting(Created),
    /// Init runs the program.
    Running(Running),
    /// There is no container any more; this notice tells why.
    Over(Notice),
}

/// The whole shim.
pub(crate) struct Supervisor {
    directory: RunDirectory,
    pub(crate) spec: ContainerSpec,
    processes: ShimProcesses,
    children: ChildSignal,
    pub(crate) shared: Surroundings,
    pub(crate) phase: Phase,
    pub(crate) init: Session,
    pub(crate) execs: BTreeMap<Owner, Exec>,
    pub(crate) next_exec: Owner,
    memory: Option<OutOfMemoryNotice>,
    out_of_memory: bool,
    started_at: Option<Timestamp>,
    /// What execs did while no daemon was there.
    pub(crate) unheard: Vec<Notice>,
    pub(crate) released: bool,
}

impl Supervisor {
    pub(crate) fn new(
        directory: RunDirectory,
        spec: ContainerSpec,
        processes: ShimProcesses,
        mut shared: Surroundings,
        children: ChildSignal,
    ) -> Self {
        let manner = Manner { owner: INIT, terminal: spec.process.terminal, input_once: spec.stdin_once };
        let init = Session::new(manner, Ends::default(), false, Log::nothing(), &mut shared);
        let never = Failure { kind: FailureKind::WrongState, message: "not made yet".to_owned() };
        let phase = Phase::Over(Notice::StartFailed { failure: never, exit_code: 128, at: Timestamp::now() });
        Self {
            directory,
            spec,
            processes,
            children,
            shared,
            phase,
            init,
            execs: BTreeMap::new(),
            next_exec: INIT + 1,
            memory: None,
            out_of_memory: false,
            started_at: None,
            unheard: Vec::new(),
            released: false,
        }
    }

    /// Makes the container, then serves until it is over and everybody knows.
    pub(crate) fn run(&mut self) -> Result<(), ShimError> {
        if let Err(failure) = self.create() {
            self.fail(failure.0, failure.1);
        }
        let mut events = Vec::new();
        while !self.settle() {
            let timeout = self.shared.alarm.remaining(std::time::Instant::now());
            self.shared.poller.wait(&mut events, timeout).map_err(ShimError::Wait)?;
            self.shared.now = std::time::Instant::now();
            for event in &events {
                if let Some(token) = Token::unpack(event.token) {
                    self.on_event(token, *event);
                }
            }
            if self.shared.alarm.rang(self.shared.now) {
                self.tick();
            }
        }
        self.shared.daemon.close();
        Ok(())
    }

    fn create(&mut self) -> Result<(), (Failure, i32)> {
        let system = |act: &str, error: std::io::Error| {
            (Failure { kind: FailureKind::System, message: format!("{act}: {error}") }, 128)
        };
        let log = Log::open(&self.spec.log, &self.spec)
            .map_err(|error| system("Failed to initialize logging driver", error))?;
        let wanted = Wanted { stdin: self.spec.open_stdin, stdout: true, stderr: true };
        let terminal = self.spec.process.terminal;
        let (theirs, ours) = stdio::make(terminal, wanted).map_err(|error| system("making pipes", error))?;
        let manner = Manner { owner: INIT, terminal, input_once: self.spec.stdin_once };
        self.init = Session::new(manner, ours, self.spec.open_stdin, log, &mut self.shared);
        let created =
            runtime::create(&Host::default(), &self.spec, theirs).map_err(|error| start_failure(&error))?;
        self.watch_memory(&created);
        self.processes.init = Some(created.init());
        self.processes.cgroups = created.cgroup().directories().to_vec();
        records::write_processes(&self.directory, &self.processes)
            .map_err(|error| (Failure { kind: FailureKind::System, message: error.to_string() }, 128))?;
        self.phase = Phase::Waiting(created);
        self.tell_created();
        Ok(())
    }

    fn watch_memory(&mut self, created: &Created) {
        // A host without the notice only loses the early word: the counters are read at the end as well.
        self.memory = created.cgroup().out_of_memory_notice().ok();
        if let Some(notice) = &self.memory {
            let _ = self.shared.poller.add(notice, Token::OutOfMemory.pack(), Interest::READ);
        }
    }

    fn tell_created(&mut self) {
        let Some(init) = self.processes.init else {
            return;
        };
        let notice = Notice::Created { init, cgroups: self.processes.cgroups.clone() };
        let network = match &self.phase {
            Phase::Waiting(created) => created.network_namespace(),
            Phase::Running(_) | Phase::Over(_) => None,
        };
        self.shared.daemon.notify(&notice, network, &self.shared.poller);
    }

    fn tell(&mut self, notice: &Notice) {
        self.shared.daemon.notify(notice, None, &self.shared.poller);
    }

    fn on_event(&mut self, token: Token, event: Event) {
        match token {
            Token::Daemon => self.on_daemon(event),
            Token::Listener => self.on_new_daemon(),
            Token::Children => self.on_children(),
            Token::OutOfMemory => self.on_memory(),
            Token::Log => self.init.log().on_event(event, &mut self.shared),
            Token::Session(INIT, Part::Process) => self.on_init_end(),
            Token::Session(INIT, part) => self.init.on_event(part, event, &mut self.shared),
            Token::Session(owner, Part::Process) => self.on_exec_end(owner),
            Token::Session(owner, part) => {
                if let Some(exec) = self.execs.get_mut(&owner) {
                    exec.session.on_event(part, event, &mut self.shared);
                }
                self.settle_exec(owner);
            }
        }
    }

    fn on_daemon(&mut self, event: Event) {
        if event.writable {
            self.shared.daemon.flush(&self.shared.poller);
        }
        if event.readable || event.hung_up {
            while let Some((envelope, descriptor)) = self.shared.daemon.next_request() {
                self.answer(envelope, descriptor);
            }
        }
        self.note_desertion();
    }

    /// A container that is not started cannot wait for ever for a daemon.
    fn note_desertion(&mut self) {
        if matches!(self.phase, Phase::Waiting(_)) && !self.shared.daemon.is_connected() {
            self.shared.deserted_since.get_or_insert(self.shared.now);
            self.shared.wake_in(DESERTED);
        }
    }

    /// The newest daemon wins, and is told what is true.
    fn on_new_daemon(&mut self) {
        while self.shared.daemon.accept(&self.shared.poller) {
            self.shared.deserted_since = None;
            self.tell_created();
            if let Some(at) = self.started_at {
                self.tell(&Notice::Started { at });
            }
            if self.out_of_memory {
                self.tell(&Notice::OutOfMemory);
            }
            let lines = self.init.log().lost();
            if lines > 0 {
                self.tell(&Notice::LogDropped { lines });
            }
            for notice in std::mem::take(&mut self.unheard) {
                self.tell(&notice);
            }
            if let Phase::Over(notice) = &self.phase {
                let notice = notice.clone();
                self.tell(&notice);
            }
        }
    }

    /// A child has ended: init and execs have descriptors of their own, so this reaps adopted orphans.
    fn on_children(&mut self) {
        self.children.clear();
        let init = self.processes.init.map(|init| init.pid);
        let execs = &self.execs;
        let known = |pid| Some(pid) == init || execs.values().any(|exec| exec.is_running_as(pid));
        reap_strangers(known);
    }

    fn on_memory(&mut self) {
        let kills = self.memory.as_mut().and_then(|notice| notice.take().ok()).unwrap_or(0);
        self.note_memory(kills > 0);
    }

    fn note_memory(&mut self, killed: bool) {
        if killed && !self.out_of_memory {
            self.out_of_memory = true;
            self.tell(&Notice::OutOfMemory);
        }
    }

    /// Lets init go on.
    pub(crate) fn start(&mut self, interface: Option<&model::InterfaceConfig>) {
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

    fn on_started(&mut self, running: Running) {
        let token = Token::Session(INIT, Part::Process).pack();
        let _ = self.shared.poller.add(running.init(), token, Interest::READ);
        self.phase = Phase::Running(running);
        let at = Timestamp::now();
        self.started_at = Some(at);
        self.tell(&Notice::Started { at });
        self.shared.settle_down();
    }

    /// The container was not made or not started; the runtime has undone it.
    fn fail(&mut self, failure: Failure, exit_code: i32) {
        let at = Timestamp::now();
        self.init.tell_clients(&failure.message, &mut self.shared);
        self.init.end(&mut self.shared);
        self.memory = None;
        let exit = Exit { code: exit_code, signal: None, out_of_memory: false, finished_at: at };
        let _ = records::write_exit(&self.directory, &exit);
        let notice = Notice::StartFailed { failure, exit_code, at };
        self.tell(&notice);
        self.phase = Phase::Over(notice);
    }

    /// Undoes a container that was never started.
    pub(crate) fn abandon(&mut self, why: &str) {
        let failure = Failure { kind: FailureKind::WrongState, message: why.to_owned() };
        // Dropping what waits at the gate kills and removes it.
        self.phase = Phase::Over(Notice::OutOfMemory);
        self.fail(failure, 128);
    }

    /// Init has ended: everything else ends, what it wrote is read and logged, the record is written.
    fn on_init_end(&mut self) {
        let Phase::Running(running) = &self.phase else {
            return;
        };
        let ended = match running.init().try_wait() {
            Ok(Some(ended)) => ended,
            Ok(None) => return,
            Err(_) => ProcessExit { code: 137, signal: None },
        };
        let _ = self.shared.poller.remove(running.init());
        let finished_at = Timestamp::now();
        // What cannot be removed now is left to the daemon, which knows the directories.
        let killed = self.memory.as_mut().and_then(|notice| notice.take().ok()).unwrap_or(0) > 0;
        let _ = running.destroy();
        self.memory = None;
        self.note_memory(killed);
        self.end_execs();
        self.init.drain(&mut self.shared);
        self.init.end(&mut self.shared);
        self.init.close_outputs();
        let exit =
            Exit { code: ended.code, signal: ended.signal, out_of_memory: self.out_of_memory, finished_at };
        let _ = records::write_exit(&self.directory, &exit);
        let notice = Notice::Exited(exit);
        self.tell(&notice);
        self.phase = Phase::Over(notice);
    }

    fn tick(&mut self) {
        self.init.tick(&mut self.shared);
        let owners: Vec<Owner> = self.execs.keys().copied().collect();
        for owner in owners {
            if let Some(exec) = self.execs.get_mut(&owner) {
                exec.session.tick(&mut self.shared);
            }
            self.settle_exec(owner);
        }
        if let Some(lines) = self.init.log().tick(&mut self.shared) {
            self.tell(&Notice::LogDropped { lines });
        }
        if let Some(since) = self.shared.deserted_since
            && matches!(self.phase, Phase::Waiting(_))
        {
            if self.shared.now >= since + DESERTED {
                self.abandon("the daemon went away before the container was started");
            } else {
                self.shared.alarm.set(since + DESERTED);
            }
        }
        // Last of all, since what runs counts again. Without it the shim is larger, nothing else.
        if self.shared.is_settled() {
            let _ = sys::memory::give_back();
        }
    }

    /// Whether the shim's work is done. Over and without a daemon, nobody can come any more, and
    /// clients that take nothing are given up.
    fn settle(&mut self) -> bool {
        if !matches!(self.phase, Phase::Over(_)) {
            return false;
        }
        if !self.released && self.shared.daemon.is_connected() {
            return false;
        }
        self.shared.daemon.close();
        self.init.drop_stuck_clients(LINGER, &mut self.shared);
        for exec in self.execs.values_mut() {
            exec.session.drop_stuck_clients(LINGER, &mut self.shared);
        }
        let waits = self.init.has_clients()
            || self.init.log().is_busy(&self.shared)
            || self.execs.values().any(|exec| exec.session.has_clients());
        if waits {
            self.shared.wake_in(LINGER_LOOK);
        }
        !waits
    }
}

/// What the daemon is told of a failed start, and the exit code.
pub(crate) fn start_failure(error: &StartError) -> (Failure, i32) {
    let kind = match error.failure() {
        runtime::FailureKind::ProgramNotFound => FailureKind::ProgramNotFound,
        runtime::FailureKind::ProgramNotExecutable => FailureKind::ProgramNotExecutable,
        runtime::FailureKind::UserNotFound => FailureKind::UserNotFound,
        runtime::FailureKind::System => FailureKind::System,
    };
    (Failure { kind, message: error.to_string() }, error.exit_code())
}

fn terminal_failure(error: &std::io::Error) -> (Failure, i32) {
    (Failure { kind: FailureKind::System, message: format!("opening the terminal: {error}") }, 128)
}
