//! The end of the container, and then of the shim.

use std::time::Duration;

use model::{Exit, Timestamp};
use runtime::ProcessExit;
use shim_protocol::Notice;

use crate::records;
use crate::supervisor::{Phase, Supervisor};

/// How long a client may read nothing after the container's end. It may be a person's pager who has gone for lunch
/// (`docker run … | less`); closed connections are noticed by themselves.
const LINGER: Duration = Duration::from_secs(24 * 3600);

/// How often lingering clients are checked.
const LINGER_POLL_INTERVAL: Duration = Duration::from_millis(500);

impl Supervisor {
    /// Init has ended: everything else ends, what it wrote is read and logged, the record is written.
    pub(crate) fn on_init_end(&mut self) {
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
        let killed = self.memory.as_mut().and_then(|notice| notice.take().ok()).unwrap_or(0) > 0;
        let _ = running.end();
        self.memory = None;
        // The container's network namespace ends with it.
        self.names = None;
        // The next container may publish its ports.
        self.relay = None;
        self.end_health();
        self.note_memory(killed);
        self.end_execs();
        self.init.drain(&mut self.shared);
        self.init.end(&mut self.shared);
        self.init.close_outputs();
        let exit =
            Exit { code: ended.code, signal: ended.signal, out_of_memory: self.out_of_memory, finished_at };
        let _ = records::write_exit(&self.directory, &exit);
        let notice = Notice::Exited(exit);
        self.notify(&notice);
        // Before the daemon gets the answer that the shim is not needed. What cannot be removed now is left to the
        // daemon, which has the directories on record.
        if let Phase::Running(running) = &self.phase {
            let _ = running.remove_cgroup();
        }
        self.phase = Phase::Over(notice);
    }

    /// Whether the shim's work is done. After the end and without a daemon, no client can connect any more,
    /// and clients that read nothing are given up.
    pub(crate) fn settle(&mut self) -> bool {
        if !matches!(self.phase, Phase::Over(_)) {
            return false;
        }
        if !self.released && self.shared.daemon.is_connected() {
            return false;
        }
        if self.init.log().is_busy(&self.shared) {
            self.shared.wake_in(LINGER_POLL_INTERVAL);
            return false;
        }
        if let Some(notice) = self.init.log().tick(&mut self.shared) {
            self.notify(&notice);
        }
        self.shared.daemon.close(&self.shared.poller);
        // No request can use them any more, and clients that read late do not need them.
        self.held_mounts.clear();
        self.init.drop_stuck_clients(LINGER, &mut self.shared);
        for exec in self.execs.values_mut() {
            exec.session.drop_stuck_clients(LINGER, &mut self.shared);
        }
        let waits = self.init.has_clients() || self.execs.values().any(|exec| exec.session.has_clients());
        if waits {
            self.shared.wake_in(LINGER_POLL_INTERVAL);
        }
        !waits
    }
}
