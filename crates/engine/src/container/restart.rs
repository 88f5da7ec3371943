//! Starts a container again: for a client, or by its own policy after an exit.

use std::sync::Arc;

use model::{ContainerId, EventAction};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::container::follow_up::FollowUp;
use crate::container::remove::{Removal, Remover};
use crate::container::start::Starter;
use crate::container::stop::{StopOptions, Stopper};
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
    pub(crate) async fn restart(
        self: &Arc<Self>,
        reference: &str,
        options: StopOptions,
    ) -> Result<(), Error> {
        let container = self.directory.find(reference)?;
        let restarter = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            // It ends, but only to run again: that is no end after which it is removed.
            let _ending = container.ending.read().await;
            let named = |error: Error| error.on("restart", reference.as_str());
            let phase = container.record().phase;
            if phase.is_alive() || matches!(phase, Phase::Restarting | Phase::Starting) {
                restarter.stopper.end(&container, options).await.map_err(named)?;
                restarter.events.emit_container(&container.record(), EventAction::Stop, &[]);
            }
            restarter.starter.launch(&container, None).await.map_err(named)?;
            restarter.events.emit_container(&container.record(), EventAction::Restart, &[]);
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
                    FollowUp::Remove(id) => restarter.remove_ended(&id).await,
                }
            });
        }
    }

    /// Removes a container that was made to be removed when it ends, with its anonymous volumes, unless it runs again.
    async fn remove_ended(&self, id: &ContainerId) {
        let Some(container) = self.directory.get(id) else { return };
        let _ended = container.ending.write().await;
        if !matches!(container.record().phase, Phase::Exited) {
            return;
        }
        let removal = Removal { volumes: true, ..Removal::default() };
        if let Err(error) = self.remover.remove(id.as_str(), removal).await {
            // A client may have been quicker.
            if self.directory.get(id).is_some_and(|container| !container.is_going()) {
                tracing::warn!("cannot remove container {id} after its end: {error}");
            }
        }
    }

    /// Starts a container as its policy demands; a start that fails is retried like an exit.
    pub(crate) async fn start_by_policy(&self, container: &Arc<Container>, decided_on: &Record) {
        if let Err(error) = self.starter.launch(container, Some(decided_on)).await {
            tracing::warn!("cannot start container {} again: {error}", container.id());
        }
    }
}
