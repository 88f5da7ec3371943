//! Starts a container again: asked by a client, or by its own policy after an exit.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::container::{Container, Phase, Record};
use crate::engine::Engine;
use crate::error::Error;

/// The first delay of a policy; it doubles with each quick exit.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest delay of a policy.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A run at least this long makes the next delay the first again.
const STEADY_RUN: Duration = Duration::from_secs(10);

impl Engine {
    /// Stops a container that runs, then starts it.
    ///
    /// # Errors
    /// Unknown container; one that does not end or cannot be started.
    pub async fn restart(self: &Arc<Self>, reference: &str, grace: Option<i64>) -> Result<(), Error> {
        let container = self.find(reference)?;
        let engine = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let named = |error: Error| error.on("restart", reference.as_str());
            let phase = container.record().phase;
            if phase.is_alive() || matches!(phase, Phase::Restarting | Phase::Starting) {
                engine.end(&container, grace).await.map_err(named)?;
                engine.emit(&container.record(), "stop", &[]);
            }
            engine.launch(&container, None).await.map_err(named)?;
            engine.emit(&container.record(), "restart", &[]);
            Ok(())
        })
        .await
    }

    /// Whether a container's policy starts it again after its last exit.
    pub(crate) fn wants_restart(record: &Record) -> bool {
        if record.stopped_by_client {
            return false;
        }
        let policy = &record.host_config.restart_policy;
        match policy.name.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => {
                record.exit_code != 0
                    && (policy.maximum_retry_count == 0 || record.restart_count < policy.maximum_retry_count)
            }
            _ => false,
        }
    }

    /// Waits out the policy's delay, then starts the container, unless a client takes over meanwhile.
    pub(crate) fn restart_later(self: &Arc<Self>, container: Arc<Container>) {
        let delay = next_delay(&container);
        let exits = container.record().exits;
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let cancelled = container.restart_cancelled.notified();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = cancelled => return,
            }
            let record = container.record();
            if record.is_restarting() && record.exits == exits {
                engine.start_by_policy(&container, &record).await;
            }
        });
    }

    /// Starts a container because its policy says so; a start that fails is tried again like an exit.
    pub(crate) async fn start_by_policy(self: &Arc<Self>, container: &Arc<Container>, decided_on: &Record) {
        if let Err(error) = self.launch(container, Some(decided_on)).await {
            tracing::warn!("cannot start container {} again: {error}", container.id());
        }
    }

    /// Ends a container's wait for its restart; says whether it was waiting.
    pub(crate) async fn cancel_restart(&self, container: &Arc<Container>) -> Result<bool, Error> {
        let _order = container.transition.lock().await;
        if !container.record().is_restarting() {
            return Ok(false);
        }
        container.restart_cancelled.notify_waiters();
        container.update(&self.database, |record| {
            record.phase = Phase::Exited;
            record.stopped_by_client = true;
        })?;
        Ok(true)
    }
}

impl Container {
    /// Makes the next delay the first again, since a client starts the container.
    pub(crate) fn forget_restart_delay(&self) {
        *self.restart_delay.lock().unwrap_or_else(PoisonError::into_inner) = Duration::ZERO;
    }
}

/// Notes and gives the delay before the next restart.
fn next_delay(container: &Container) -> Duration {
    let record = container.record();
    let mut delay = container.restart_delay.lock().unwrap_or_else(PoisonError::into_inner);
    *delay = following(*delay, record.finished_at.since(record.started_at));
    *delay
}

/// The delay that follows another: doubled after a quick run, the first after a steady one.
fn following(delay: Duration, run: Duration) -> Duration {
    if delay.is_zero() || run >= STEADY_RUN { FIRST_DELAY } else { (delay * 2).min(LONGEST_DELAY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_until_a_run_is_steady() {
        let (quick, almost) = (Duration::ZERO, Duration::from_millis(9_999));
        let mut delay = Duration::ZERO;
        let mut delays = Vec::new();
        for run in [quick, almost, quick, STEADY_RUN, quick, Duration::from_secs(3600), quick] {
            delay = following(delay, run);
            delays.push(delay.as_millis());
        }
        assert_eq!(delays, [100, 200, 400, 100, 200, 100, 200]);
        for _ in 0..20 {
            delay = following(delay, quick);
        }
        assert_eq!(delay, LONGEST_DELAY);
    }
}
