//! Joins a client to a container's stdio: through its shim, or when it starts.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{EventAction, LogSource};
use shim_protocol::{Attach, Request};

use super::service::Streams;
use crate::clients::DETACH_KEYS;
use crate::container::{Container, Phase};
use crate::error::Error;
use crate::logs::LogQuery;
use crate::outcome::joined;

/// How long a client that attached to an ended container may wait for its start, as
/// `docker start -a` needs; then the attachment ends.
const START_GRACE: Duration = Duration::from_secs(3);

/// How long others wait altogether for a client that is shown the log before it joins.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(3);

/// A client's request for a container's stdio.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// Send input.
    pub stdin: bool,
    /// Get output.
    pub stdout: bool,
    /// Get error output.
    pub stderr: bool,
    /// Get what was logged before.
    pub logs: bool,
    /// Follow.
    pub stream: bool,
    /// Never write stream frame headers, not even without a terminal (websockets).
    pub raw: bool,
    /// Get only what the process writes, not why it could not be started.
    pub quiet: bool,
    /// Bytes that end the attachment when typed, on a terminal only; empty are the usual ones.
    pub detach_keys: Vec<u8>,
}

/// A validated request to attach; [`AttachSession::join`] follows once the client's head is written.
pub struct AttachSession {
    streams: Arc<Streams>,
    container: Arc<Container>,
    request: AttachRequest,
}

impl Streams {
    /// Looks up the container that a client attaches to.
    ///
    /// # Errors
    /// Unknown container.
    pub fn prepare_attach(
        self: &Arc<Self>,
        reference: &str,
        request: AttachRequest,
    ) -> Result<AttachSession, Error> {
        let container = self.directory.find(reference)?;
        Ok(AttachSession { streams: Arc::clone(self), container, request })
    }
}

impl AttachSession {
    /// Joins the client's connection; returns when it is passed to the shim.
    ///
    /// # Errors
    /// When the shim is gone meanwhile.
    pub async fn join(self, socket: OwnedFd, early_input: Vec<u8>) -> Result<(), Error> {
        self.greet_and_join(socket, early_input, &[]).await
    }

    /// Joins the client's connection, and first writes the greeting that confirms it: a start that the client
    /// requests after it has read the greeting comes after the joining.
    ///
    /// # Errors
    /// When the client does not accept the greeting, or the shim is gone meanwhile.
    pub async fn greet_and_join(
        self,
        socket: OwnedFd,
        early_input: Vec<u8>,
        greeting: &[u8],
    ) -> Result<(), Error> {
        let Self { streams, container, request } = self;
        let order = container.transition.lock().await;
        // A greeting fits into the buffer of every client that reads its answers.
        sys::stream::write_all(&socket, greeting, Duration::ZERO)
            .map_err(|source| Error::Shim { act: "greet a client of", source })?;
        let record = container.record();
        if matches!(record.phase, Phase::Removing) {
            return Err(Error::NoSuchContainer(record.id.to_string()));
        }
        streams.events.emit_container(&record, EventAction::Attach, &[]);
        let terminal = record.settings.terminal;
        let attach = Attach {
            client: streams.clients.next(),
            stdin: request.stdin && record.settings.open_stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            logs: request.logs,
            stream: request.stream,
            framed: !terminal && !request.raw,
            detach_keys: match (terminal && request.stdin, request.detach_keys) {
                (false, _) => Vec::new(),
                (true, keys) if keys.is_empty() => DETACH_KEYS.to_vec(),
                (true, keys) => keys,
            },
            early_input,
            quiet: request.quiet,
        };
        let shim = container.shim().filter(|shim| !shim.is_gone());
        let mut attach = attach;
        // A shim has the past only if it writes the log itself.
        if attach.logs && (shim.is_none() || record.settings.host.log.source() == LogSource::Journal) {
            attach.logs = false;
            if !attach.stream {
                drop(order);
                return streams.replay(&container, &attach, &socket).await;
            }
            streams.replay(&container, &attach, &socket).await?;
        }
        if let Some(shim) = shim {
            shim.request(Request::Attach(attach), Some(socket.as_fd())).await?;
            return Ok(());
        }
        if !attach.stream {
            return Ok(());
        }
        let limit = start_limit(record.phase);
        container
            .waiting_clients
            .add(attach, socket, limit)
            .map_err(|source| Error::Shim { act: "wait with a client for", source })?;
        Ok(())
    }
}

/// How long a client may wait for the next start. To a container that has ended it comes at once or not at all, as of
/// `docker start -a`; so it is where a dead shim's container runs by its record still. Others start by themselves, or
/// were never started.
const fn start_limit(phase: Phase) -> Option<Duration> {
    match phase {
        Phase::Running(_) | Phase::Paused(_) | Phase::Exited | Phase::Removing => Some(START_GRACE),
        Phase::Created | Phase::Starting | Phase::Restarting => None,
    }
}

impl Streams {
    /// Writes what a container has logged to a client. A client that reads so slowly that others wait too
    /// long for the container is disconnected.
    ///
    /// # Errors
    /// When the client does not read, or is disconnected. A log that cannot be read counts as empty.
    async fn replay(&self, container: &Container, attach: &Attach, socket: &OwnedFd) -> Result<(), Error> {
        let query = LogQuery {
            stdout: attach.stdout,
            stderr: attach.stderr,
            framed: Some(attach.framed),
            ..LogQuery::default()
        };
        let failed = |source| Error::Shim { act: "show the log to a client of", source };
        let Ok(mut logs) = self.logs.read(container.id().as_str(), query).await else { return Ok(()) };
        let mut left = REPLAY_TIMEOUT;
        while let Some(piece) = logs.next().await {
            let Ok(piece) = piece else { return Ok(()) };
            let socket = socket.try_clone().map_err(failed)?;
            let begun = Instant::now();
            let written =
                tokio::task::spawn_blocking(move || sys::stream::write_all(&socket, &piece, START_GRACE));
            joined(written.await)?.map_err(failed)?;
            if container.transition.has_waiters() {
                left = left.saturating_sub(begun.elapsed());
            }
            if left.is_zero() {
                return Err(failed(std::io::ErrorKind::TimedOut.into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::ProcessReference;

    use super::*;

    #[test]
    fn no_client_waits_without_end_for_a_container_that_has_ended() {
        let process = ProcessReference { pid: 1, start_time: 1 };
        for phase in [Phase::Exited, Phase::Running(process), Phase::Paused(process)] {
            assert_eq!(start_limit(phase), Some(START_GRACE), "{phase:?}: its shim is gone");
        }
        for phase in [Phase::Created, Phase::Starting, Phase::Restarting] {
            assert_eq!(start_limit(phase), None, "{phase:?}");
        }
    }
}
