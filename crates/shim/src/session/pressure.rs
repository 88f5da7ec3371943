//! How slow a client may be.
//!
//! What a client has not read is buffered for it, up to 1 MiB, less where there are many clients. Then the process's output is
//! not read for a moment, so that a client that is a little slower than the process sets the pace. But one client must not hold
//! up the log or other clients, so the moment is short:
//!
//! - Where the log keeps everything (json-file without `max-size`), after [`MOMENT`] the process continues,
//!   and the client gets what it missed from the log as fast as it reads it: nothing is lost, and nothing more
//!   is kept in memory.
//! - Where it does not, the client must read something within [`TIMEOUT`] and, when that is over, once more as long, or is
//!   disconnected: a machine that stood still has given it no chance the first time.
//! - A client that is the only one to get the output (no log, no other client) may be as slow as it likes:
//!   the process waits for it, as if it wrote into a pipe to the client.

use std::time::Duration;

use super::Session;
use crate::event_loop::EventLoop;

/// The most that is buffered for one client while the process continues, in bytes.
const QUEUE_LIMIT: usize = 1024 * 1024;

/// The buffer limit of all clients together, in bytes, unless each gets less than [`QUEUE_MINIMUM`] then.
const QUEUES: usize = 8 * 1024 * 1024;

/// The buffer limit of one client in any case, in bytes.
const QUEUE_MINIMUM: usize = 64 * 1024;

/// How long a full queue holds up the process before its client is fed from the log.
const MOMENT: Duration = Duration::from_millis(50);

/// How long a client may take nothing at all while others wait for it.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Session {
    /// Stops reading when a client has too much waiting, and decides what to do about it.
    pub(super) fn apply_backpressure(&mut self, shared: &mut EventLoop) {
        let limit = if self.paused_at.is_some() { self.resume_limit() } else { self.queue_limit() };
        let slow: Vec<u32> = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_live() && client.queue.len() > limit)
            .map(|(id, _)| *id)
            .collect();
        if slow.is_empty() {
            return self.resume_reading(shared);
        }
        let Some(paused_at) = self.paused_at else {
            return self.pause(shared);
        };
        if self.log.keeps_everything() {
            if shared.now >= paused_at + MOMENT {
                self.feed_from_log(&slow, shared);
            } else {
                shared.alarm.set(paused_at + MOMENT);
            }
        } else if !self.log.is_nothing() || self.clients.len() > 1 {
            self.drop_the_stuck(&slow, shared);
        }
        self.resume_reading(shared);
    }

    /// The most that is kept for one client, in bytes.
    fn queue_limit(&self) -> usize {
        (QUEUES / self.clients.len().max(1)).clamp(QUEUE_MINIMUM, QUEUE_LIMIT)
    }

    /// The process continues when no client has more than this waiting, in bytes.
    fn resume_limit(&self) -> usize {
        self.queue_limit() / 4
    }

    fn pause(&mut self, shared: &mut EventLoop) {
        self.paused_at = Some(shared.now);
        for output in &mut self.outputs {
            output.register(&shared.poller, false);
        }
        shared.wake_in(if self.log.keeps_everything() { MOMENT } else { TIMEOUT });
    }

    fn feed_from_log(&mut self, slow: &[u32], shared: &mut EventLoop) {
        for id in slow {
            let Some(client) = self.clients.get_mut(id) else {
                continue;
            };
            if client.fall_back(&self.log) {
                client.register(&shared.poller, self.input.accepts());
            } else {
                self.drop_client(*id, shared);
            }
        }
    }

    fn drop_the_stuck(&mut self, slow: &[u32], shared: &mut EventLoop) {
        for id in slow {
            let Some(client) = self.clients.get_mut(id) else {
                continue;
            };
            let due = client.doubted_at.unwrap_or(client.progressed_at) + TIMEOUT;
            if shared.now < due {
                shared.alarm.set(due);
            } else if client.doubted_at.is_none() {
                client.doubted_at = Some(shared.now);
                shared.wake_in(TIMEOUT);
            } else {
                self.drop_client(*id, shared);
            }
        }
    }

    /// Resumes reading when no client has much waiting any more.
    pub(super) fn resume_reading(&mut self, shared: &mut EventLoop) {
        let resume_limit = self.resume_limit();
        let slow = |client: &super::Client| client.is_live() && client.queue.len() > resume_limit;
        if self.paused_at.is_some() && !self.clients.values().any(slow) {
            self.paused_at = None;
            for output in &mut self.outputs {
                output.register(&shared.poller, true);
            }
        }
    }
}
