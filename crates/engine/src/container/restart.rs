//! Starts a container again: asked by a client, or by its own policy after an exit.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::container::follow_up::FollowUp;
use crate::container::remove::{Removal, Remover};
use crate::container::start::Starter;
use crate::container::stop::Stopper;
use crate::container::{Container, Phase, Record};
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;

/// Restarts containers, and carries out what follows their ends.
pub(crate) struct Restarter {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) starter: Arc<Starter>,
    pub(crate) stopper: Arc<Stopper>,
    pub(crate) remover: Arc<Remover>,
}

impl Restarter {
    /// Stops a container that runs, then starts it.
    ///
    /// # Errors
    /// Unknown container; one that does not end or cannot be started.
    pub(crate) async fn restart(self: &Arc<Self>, reference: &str, grace: Option<i64>) -> Result<(), Error> {
        let container = self.directory.find(reference)?;
        let restarter = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let named = |error: Error| error.on("restart", reference.as_str());
            let phase = container.record().phase;
            if phase.is_alive() || matches!(phase, Phase::Restarting | Phase::Starting) {
                restarter.stopper.end(&container, grace).await.map_err(named)?;
                restarter.events.emit_container(&container.record(), "stop", &[]);
            }
            restarter.starter.launch(&container, None).await.map_err(named)?;
            restarter.events.emit_container(&container.record(), "restart", &[]);
            Ok(())
        })
        .await
    }

    /// Carries out what follows the ends of containers, each in a task of its own.
    pub(crate) async fn follow_up(self: Arc<Self>, mut requests: UnboundedReceiver<FollowUp>) {
        while let Some(request) = requests.recv().await {
            let restarter = Arc::clone(&self);
            tokio::spawn(async move {
                match request {
                    FollowUp::Restart { container, delay, exits } => {
                        let cancelled = container.restart_cancelled.notified();
                        tokio::select! {
                            () = tokio::time::sleep(delay) => {}
                            () = cancelled => return,
                        }
                        let record = container.record();
                        if record.is_restarting() && record.exits == exits {
                            restarter.start_by_policy(&container, &record).await;
                        }
                    }
                    FollowUp::Remove(id) => {
                        let removal = Removal { volumes: true, ..Removal::default() };
                        if let Err(error) = restarter.remover.remove(id.as_str(), removal).await {
                            tracing::debug!("cannot remove container {id} after its end: {error}");
                        }
                    }
                }
            });
        }
    }

    /// Starts a container because its policy says so; a start that fails is tried again like an exit.
    pub(crate) async fn start_by_policy(&self, container: &Arc<Container>, decided_on: &Record) {
        if let Err(error) = self.starter.launch(container, Some(decided_on)).await {
            tracing::warn!("cannot start container {} again: {error}", container.id());
        }
    }
}
