//! The shim's loop and the life of its container.
//!
//! ```text
//! Waiting ──Start──→ Running ──init ends──→ Over
//!    └── cannot be made or started, Release, no daemon ──↗
//! ```
//!
//! Over, the shim ends when the daemon releases it or is gone, and clients have taken what waits.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;

use model::{ContainerSpec, Timestamp};
use runtime::{Created, OutOfMemoryNotice, Running};
use shim_protocol::{Failure, FailureKind, Notice, RunDirectory, ShimProcesses};
use sys::child_signal::{ChildSignal, reap_strangers};
use sys::epoll::Event;

use crate::ahead::Ahead;
use crate::error::ShimError;
use crate::event_loop::EventLoop;
use crate::exec::Exec;
use crate::health::Monitor;
use crate::log::Log;
use crate::names::NameServer;
use crate::protection::Protection;
use crate::relay::Relay;
use crate::session::stdio::Ends;
use crate::session::{Session, SessionOptions};
use crate::token::{Owner, Part, Token};

/// Init's session.
pub(crate) const INIT: Owner = 0;

/// The phase of the container.
pub(crate) enum Phase {
    /// Init waits at its gate.
    Waiting(Created),
    /// Init runs the program.
    Running(Running),
    /// There is no container any more; this notice has the reason.
    Over(Notice),
}

/// The parts with which a shim begins.
pub(crate) struct Birth {
    pub(crate) directory: RunDirectory,
    pub(crate) spec: ContainerSpec,
    pub(crate) held_mounts: Vec<OwnedFd>,
    pub(crate) processes: ShimProcesses,
    pub(crate) protection: Protection,
    pub(crate) shared: EventLoop,
    pub(crate) children: ChildSignal,
    pub(crate) ahead: Ahead,
}

/// The whole shim.
pub(crate) struct Supervisor {
    pub(crate) directory: RunDirectory,
    pub(crate) spec: ContainerSpec,
    /// The mount namespaces of volumes that are mounts. They stay open here, under their numbers, so that later
    /// daemons find them as long as a container uses the volume.
    pub(crate) held_mounts: Vec<OwnedFd>,
    pub(crate) processes: ShimProcesses,
    pub(crate) protection: Protection,
    children: ChildSignal,
    /// The state that was prepared before the container was known, until it is used.
    pub(crate) ahead: Ahead,
    pub(crate) shared: EventLoop,
    pub(crate) phase: Phase,
    pub(crate) init: Session,
    pub(crate) execs: BTreeMap<Owner, Exec>,
    pub(crate) next_exec: Owner,
    /// The checks of the container's health, where it has any.
    pub(crate) health: Option<Box<Monitor>>,
    pub(crate) names: Option<Box<NameServer>>,
    /// The published ports that it relays, where there are any.
    pub(crate) relay: Option<Box<Relay>>,
    pub(crate) memory: Option<OutOfMemoryNotice>,
    pub(crate) out_of_memory: bool,
    pub(crate) started_at: Option<Timestamp>,
    /// The last ends of execs: a daemon that connects gets them again, since one that went away may have
    /// left its last notices unread.
    pub(crate) exec_ends: VecDeque<Notice>,
    pub(crate) released: bool,
}

impl Supervisor {
    pub(crate) fn new(birth: Birth) -> Self {
        let Birth { directory, spec, held_mounts, processes, protection, mut shared, children, ahead } =
            birth;
        let options =
            SessionOptions { owner: INIT, terminal: spec.process.terminal, input_once: spec.stdin_once };
        let init = Session::new(options, Ends::default(), false, Log::nothing(), &mut shared);
        let never = Failure { kind: FailureKind::WrongState, message: "not made yet".to_owned() };
        let phase = Phase::Over(Notice::StartFailed { failure: never, exit_code: 128, at: Timestamp::now() });
        Self {
            directory,
            spec,
            held_mounts,
            processes,
            protection,
            children,
            ahead,
            shared,
            phase,
            init,
            execs: BTreeMap::new(),
            next_exec: INIT + 1,
            health: None,
            names: None,
            relay: None,
            memory: None,
            out_of_memory: false,
            started_at: None,
            exec_ends: VecDeque::new(),
            released: false,
        }
    }

    /// Makes the container, then serves until it is over and all clients and the daemon have been informed.
    pub(crate) fn run(&mut self) -> Result<(), ShimError> {
        if let Err(failure) = self.create() {
            self.fail(failure.0, failure.1);
        }
        self.ahead.show(&self.directory);
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
        self.shared.daemon.close(&self.shared.poller);
        Ok(())
    }

    fn on_event(&mut self, token: Token, event: Event) {
        match token {
            Token::Daemon => self.on_daemon(event),
            Token::Listener => self.on_new_daemon(),
            Token::Children => self.on_children(),
            Token::OutOfMemory => self.on_memory(),
            Token::Log => self.init.log().on_event(event, &mut self.shared),
            Token::Probe(part) => self.on_probe(part),
            Token::Names(part) => {
                if let Some(names) = &mut self.names {
                    names.on_event(part, event, &mut self.shared);
                }
            }
            Token::Relay(part) => self.on_relay(part, event),
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

    /// A child has ended: init and execs have descriptors of their own, so this reaps adopted orphans.
    fn on_children(&mut self) {
        self.children.clear();
        self.reap();
    }

    /// Reaps adopted orphans up to the first child that other code waits for; after taking that child's exit that code
    /// calls this again, or an orphan behind it would stay, and with it the container's pid namespace.
    pub(crate) fn reap(&self) {
        let init = self.processes.init.map(|init| init.pid);
        let (execs, reaper) = (&self.execs, self.probe_reaper());
        let known =
            |pid| [init, reaper].contains(&Some(pid)) || execs.values().any(|exec| exec.is_running_as(pid));
        reap_strangers(known);
    }

    pub(crate) fn on_memory(&mut self) {
        let kills = self.memory.as_mut().and_then(|notice| notice.take().ok()).unwrap_or(0);
        self.note_memory(kills > 0);
    }

    pub(crate) fn note_memory(&mut self, killed: bool) {
        if killed && !self.out_of_memory {
            self.out_of_memory = true;
            self.notify(&Notice::OutOfMemory);
        }
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
        self.tick_health();
        if let Some(notice) = self.init.log().tick(&mut self.shared) {
            self.notify(&notice);
        }
        if let Some(names) = &mut self.names {
            names.tick(&mut self.shared);
        }
        if let Some(relay) = &mut self.relay {
            relay.tick(&mut self.shared);
        }
        self.give_up_if_deserted();
        // Last of all, since what runs counts again. Without it the shim is larger, nothing else.
        if self.shared.is_settled() {
            self.init.log().give_back();
            let _ = sys::memory::give_back();
        }
    }
}
