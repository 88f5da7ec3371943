//! Ends a running container: its stop signal, a grace, then SIGKILL.

use std::sync::Arc;
use std::time::Duration;

use model::{EventAction, Signal};
use shim_protocol::Request;

use crate::container::pause::Freezer;
use crate::container::{Command, Container, Decision, Phase, Record, decide};
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;
use crate::networking::Networking;
use crate::outcome::Outcome;
use crate::store::Written;

/// Seconds of grace when neither client nor container set them.
const DEFAULT_GRACE: i64 = 10;

/// How long SIGKILL may take before the engine reports that the process does not end.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// How a container is stopped; `None` stands for the container's own setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// Seconds until it is killed; less than zero waits for ever.
    pub grace: Option<i64>,
    /// The signal that requests the process's end.
    pub signal: Option<Signal>,
}

/// Ends containers.
pub(crate) struct Stopper {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) freezer: Arc<Freezer>,
    pub(crate) networking: Arc<Networking>,
}

impl Stopper {
    /// Stops a container.
    ///
    /// # Errors
    /// Unknown container, or one whose processes do not end.
    pub(crate) async fn stop(
        self: &Arc<Self>,
        reference: &str,
        options: StopOptions,
    ) -> Result<Outcome, Error> {
        let container = self.directory.find(reference)?;
        let stopper = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let _ending = container.ending.read().await;
            match decide(container.record().phase, Command::Stop) {
                Decision::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Decision::Refuse(_) => return Err(Error::AlreadyRemoving.on("stop", reference)),
                Decision::Run => {}
            }
            stopper.end(&container, options).await.map_err(|error| error.on("stop", reference))?;
            stopper.events.emit_container(&container.record(), EventAction::Stop, &[]);
            stopper.networking.until_ports_are_free().await;
            Ok(Outcome::Done)
        })
        .await
    }

    /// Ends a container's processes and waits until its exit is recorded.
    pub(crate) async fn end(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: StopOptions,
    ) -> Result<(), Error> {
        let Some(written) = self.take_from_policy(container).await else { return Ok(()) };
        let record = container.record();
        let grace = options.grace.or(record.settings.stop_timeout).unwrap_or(DEFAULT_GRACE);
        let own = record.settings.stop_signal.as_ref().map_or(Signal::TERM, |signal| signal.signal());
        let signal = options.signal.unwrap_or(own);
        self.end_processes(container, &record, signal, grace).await?;
        // A stop that was answered stays a stop after a crash of the daemon too.
        let _ = written.wait().await;
        Ok(())
    }

    async fn end_processes(
        self: &Arc<Self>,
        container: &Arc<Container>,
        record: &Record,
        signal: Signal,
        grace: i64,
    ) -> Result<(), Error> {
        if grace != 0 || signal == Signal::KILL {
            let limit = u64::try_from(grace).ok().map(Duration::from_secs);
            // The grace begins with the lock: what holds it meanwhile is not the container's doing.
            let order = if record.is_paused() { None } else { Some(container.transition.lock().await) };
            let request = async {
                let sent = if let Some(order) = order {
                    let sent = self.signal_in_order(container, signal).await;
                    drop(order);
                    sent
                } else {
                    self.freezer.thaw_to_end(container).await;
                    self.signal(container, signal).await
                };
                match sent {
                    // The grace is for the shim too.
                    Err(Error::ShimSilent | Error::ShimLost) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
                Ok(wait_for_exit(container, record.exits, None).await)
            };
            let ended = match limit {
                Some(limit) => tokio::time::timeout(limit, request).await.unwrap_or(Ok(false)),
                None => request.await,
            };
            if ended? {
                return Ok(());
            }
        }
        self.kill_processes(container).await?;
        if wait_for_exit(container, record.exits, Some(KILL_TIMEOUT)).await {
            Ok(())
        } else {
            Err(Error::refused(format!(
                "its processes did not end within {} s of SIGKILL",
                KILL_TIMEOUT.as_secs()
            )))
        }
    }

    /// Notes that a client ends a container, so that its restart policy leaves it alone from now on: under the lock with which
    /// exits are recorded. `None` when it waited for its restart, which is all there was to end.
    pub(crate) async fn take_from_policy(&self, container: &Arc<Container>) -> Option<Written> {
        let _order = container.transition.lock().await;
        if self.cancel_restart_in_order(container).await {
            return None;
        }
        Some(container.update_saved(|record| record.stopped_by_client = true).1)
    }

    /// Ends a container's wait for its restart; returns whether it was waiting.
    pub(crate) async fn cancel_restart(&self, container: &Arc<Container>) -> bool {
        let _order = container.transition.lock().await;
        self.cancel_restart_in_order(container).await
    }

    /// As [`Self::cancel_restart`], for callers that hold the container's lock.
    async fn cancel_restart_in_order(&self, container: &Arc<Container>) -> bool {
        if !container.record().is_restarting() {
            return false;
        }
        container.restart_cancelled.notify_waiters();
        let (_, written) = container.update_saved(|record| {
            record.phase = Phase::Exited;
            record.stopped_by_client = true;
        });
        // A failure is retried in the background.
        let _ = written.wait().await;
        true
    }

    /// Kills a container's processes: through its shim, or with it when it does not answer.
    ///
    /// # Errors
    /// When the shim refuses.
    pub(crate) async fn kill_processes(&self, container: &Arc<Container>) -> Result<(), Error> {
        match self.signal(container, Signal::KILL).await {
            Err(Error::ShimSilent | Error::ShimLost) => {
                tracing::error!("the shim of container {} does not answer: it is killed", container.id());
                if let Some(shim) = container.shim() {
                    shim.kill();
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Sends a signal to init and publishes that; a container that has just ended is no error.
    pub(crate) async fn signal(&self, container: &Arc<Container>, signal: Signal) -> Result<(), Error> {
        // The effects of the signal are published after it.
        let _order = container.transition.lock().await;
        self.signal_in_order(container, signal).await
    }

    /// As [`Self::signal`], for callers that hold the container's lock.
    async fn signal_in_order(&self, container: &Arc<Container>, signal: Signal) -> Result<(), Error> {
        let Some(shim) = container.shim() else { return Ok(()) };
        match shim.request(Request::Signal(signal), None).await {
            Ok(_) => {
                self.events.emit_container(
                    &container.record(),
                    EventAction::Kill,
                    &[("signal", signal.number().to_string())],
                );
                Ok(())
            }
            Err(error) if error.means_ended() || !container.record().is_running() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Waits until a container has ended more often than `exits` times, or does not run; false when time is up.
pub(crate) async fn wait_for_exit(container: &Container, exits: u64, timeout: Option<Duration>) -> bool {
    let mut changes = container.watch();
    let ended = changes.wait_for(|record| {
        record.exits > exits
            || !matches!(record.phase, Phase::Starting | Phase::Running(_) | Phase::Paused(_))
    });
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, ended).await.is_ok(),
        None => ended.await.is_ok(),
    }
}
