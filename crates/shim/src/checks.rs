//! Has the container's health checked by the loop's own clock, one probe at a time.
//!
//! A daemon gets a notice of each probe, and of all results when it connects; at the container's end that is left in
//! the run directory.

use std::time::{Duration, Instant};

use model::{ExecId, NO_EXIT_CODE, ProcessSpec, Timestamp};
use shim_protocol::{Failure, FailureKind, Notice};

use crate::health::{Ending, Monitor, Obstacle, Probe, ProbeStatus, State};
use crate::records;
use crate::start::start_failure;
use crate::supervisor::{Phase, Supervisor};
use crate::token::ProbePart;

/// How long the loop waits for the start of a probe at most: its program may lie on a disk that does not answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of the container is waited for before a probe that is gone counts as a failure.
const DOUBT: Duration = Duration::from_secs(1);

/// How soon a killed probe is polled for its end; doubled each time…
const FIRST_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// …up to this.
const LONGEST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// 128 + SIGKILL: how a probe ends that is killed.
const KILLED: i32 = 137;

impl Supervisor {
    /// The container runs: its health is checked from now on.
    pub(crate) fn begin_health(&mut self) {
        let now = Instant::now();
        self.health = self.spec.health.clone().map(|check| {
            let process = ProcessSpec {
                arguments: check.arguments.clone(),
                terminal: false,
                ..self.spec.process.clone()
            };
            Box::new(Monitor::new(check, process, now))
        });
        self.await_health();
    }

    /// The container has ended, and every probe with it.
    pub(crate) fn end_health(&mut self) {
        let Some(monitor) = self.health.take() else { return };
        let _ = records::write_health(&self.directory, &monitor.health);
        match monitor.state {
            State::Waiting { .. } | State::Doubtful { .. } => {}
            State::Probing(probe) | State::Dying { probe, .. } => probe.let_go(&self.shared.poller),
        }
    }

    /// Reports the health state to a new connection.
    pub(crate) fn report_health(&mut self) {
        if let Some(monitor) = &self.health {
            let notice = Notice::Health(Box::new(monitor.health.clone()));
            self.notify(&notice);
        }
    }

    /// The container is frozen.
    pub(crate) fn suspend_health(&mut self) {
        if let Some(monitor) = &mut self.health {
            monitor.freeze(Instant::now());
        }
    }

    /// The container is thawed.
    pub(crate) fn resume_health(&mut self) {
        if let Some(monitor) = &mut self.health {
            monitor.thaw(Instant::now());
        }
        self.await_health();
    }

    fn await_health(&mut self) {
        if let Some(at) = self.health.as_ref().and_then(|monitor| monitor.wakes_at()) {
            self.shared.alarm.set(at);
        }
    }

    /// Time has passed.
    pub(crate) fn tick_health(&mut self) {
        let now = self.shared.now;
        let Some(mut monitor) = self.health.take() else { return };
        if monitor.wakes_at().is_some_and(|at| at <= now) {
            let state = std::mem::replace(&mut monitor.state, State::Waiting { next: now });
            monitor.state = match state {
                State::Waiting { .. } => self.begin_probe(&mut monitor),
                State::Probing(probe) => self.stop_probe(&mut monitor, probe),
                State::Dying { probe, wait, next, .. } => {
                    self.kill_probe(&probe);
                    State::Dying {
                        probe,
                        poll_at: now + wait,
                        wait: (wait * 2).min(LONGEST_POLL_INTERVAL),
                        next,
                    }
                }
                State::Doubtful { ending, .. } => State::Waiting { next: self.report(&mut monitor, ending) },
            };
        }
        self.health = Some(monitor);
        self.reap();
        self.await_health();
    }

    /// Handles an event of the probe.
    pub(crate) fn on_probe(&mut self, part: ProbePart) {
        let Some(mut monitor) = self.health.take() else { return };
        let state = std::mem::replace(&mut monitor.state, State::Waiting { next: self.shared.now });
        monitor.state = match (state, part) {
            (State::Probing(mut probe), ProbePart::Output) => {
                probe.read_output(&mut self.shared);
                State::Probing(probe)
            }
            (State::Probing(probe), ProbePart::End) => match probe.status() {
                ProbeStatus::Running => State::Probing(probe),
                ProbeStatus::Exited(code) | ProbeStatus::Reaped(Some(code)) => {
                    self.take_result(&mut monitor, probe, code)
                }
                ProbeStatus::Reaped(None) => {
                    let ending = self.let_go(probe, KILLED);
                    self.doubt(ending)
                }
            },
            (State::Dying { probe, poll_at, wait, next }, _) => {
                if matches!(probe.status(), ProbeStatus::Reaped(_)) {
                    probe.let_go(&self.shared.poller);
                    State::Waiting { next }
                } else {
                    State::Dying { probe, poll_at, wait, next }
                }
            }
            (state @ (State::Waiting { .. } | State::Doubtful { .. }), _) => state,
        };
        self.health = Some(monitor);
        self.reap();
        self.await_health();
    }

    fn begin_probe(&mut self, monitor: &mut Monitor) -> State {
        let now = self.shared.now;
        let Phase::Running(running) = &self.phase else { return monitor.waiting(now) };
        // Frozen by others than the daemon, it cannot answer.
        if running.is_frozen().unwrap_or(false) {
            return monitor.waiting(now);
        }
        let exec = ExecId::from_random(sys::random::bytes());
        let began = Timestamp::now();
        let notice = Notice::ProbeStarted { exec: exec.clone() };
        self.shared.daemon.notify(&notice, None, &self.shared.poller);
        let timeout = monitor.check.timeout;
        let started = monitor.null().map_err(Obstacle::System).and_then(|null| {
            let what = (&monitor.process, null);
            self.protection.lifted(|| Probe::start(running, what, timeout.min(START_TIMEOUT)))
        });
        let times = (exec.clone(), began, now + timeout);
        match started.and_then(|started| Probe::watch(started, times, &self.shared)) {
            Ok(probe) => State::Probing(probe),
            Err(obstacle) => {
                let Failure { kind, message: output } = failure(obstacle);
                let exit_code = if kind == FailureKind::ProgramNotFound { 127 } else { 126 };
                let ending = Ending { exec, began, exit_code, shown_code: NO_EXIT_CODE, output };
                if kind == FailureKind::System {
                    return self.doubt(ending);
                }
                State::Waiting { next: self.report(monitor, ending) }
            }
        }
    }

    /// The reaper of a probe whose exit is to be taken here.
    pub(crate) fn probe_reaper(&self) -> Option<u32> {
        self.health.as_ref()?.reaper()
    }

    fn doubt(&self, ending: Ending) -> State {
        State::Doubtful { ending, judge_at: self.shared.now + DOUBT }
    }

    /// Takes what a probe wrote itself; others may still have its output open.
    fn let_go(&mut self, mut probe: Probe, code: i32) -> Ending {
        probe.read_output(&mut self.shared);
        let (exec, began, output) = (probe.exec.clone(), probe.began, probe.output.text());
        probe.let_go(&self.shared.poller);
        Ending { exec, began, exit_code: code, shown_code: code, output }
    }

    /// The probe has ended by itself.
    fn take_result(&mut self, monitor: &mut Monitor, probe: Probe, code: i32) -> State {
        let ending = self.let_go(probe, code);
        State::Waiting { next: self.report(monitor, ending) }
    }

    /// The probe takes too long. It may have ended just now.
    fn stop_probe(&mut self, monitor: &mut Monitor, mut probe: Probe) -> State {
        match probe.status() {
            ProbeStatus::Exited(code) | ProbeStatus::Reaped(Some(code)) => {
                return self.take_result(monitor, probe, code);
            }
            ProbeStatus::Reaped(None) => {
                let ending = self.let_go(probe, KILLED);
                return self.doubt(ending);
            }
            ProbeStatus::Running => {}
        }
        self.kill_probe(&probe);
        probe.read_output(&mut self.shared);
        probe.stop_reading(&self.shared.poller);
        let output = probe.output.text_of_late(monitor.check.timeout);
        let (exec, began) = (probe.exec.clone(), probe.began);
        let ending = Ending { exec, began, exit_code: KILLED, shown_code: NO_EXIT_CODE, output };
        let next = self.report(monitor, ending);
        State::Dying {
            probe,
            poll_at: self.shared.now + FIRST_POLL_INTERVAL,
            wait: FIRST_POLL_INTERVAL * 2,
            next,
        }
    }

    fn kill_probe(&self, probe: &Probe) {
        if let Phase::Running(running) = &self.phase {
            // Processes that could not be listed are searched again.
            let _ = running.kill_descendants(&probe.reaper);
        }
    }

    /// Takes the end of a probe, notifies the daemon, and returns when the next begins.
    fn report(&mut self, monitor: &mut Monitor, ending: Ending) -> Instant {
        let now = self.shared.now;
        let notice = monitor.judge(ending, now);
        self.notify(&notice);
        monitor.next(now)
    }
}

fn failure(obstacle: Obstacle) -> Failure {
    match obstacle {
        Obstacle::Start(error) => start_failure(&error).0,
        Obstacle::System(error) => Failure { kind: FailureKind::System, message: error.to_string() },
    }
}
