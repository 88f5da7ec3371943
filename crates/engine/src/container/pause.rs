//! Freezes and thaws a container's processes.

use std::sync::Arc;

use model::{EventAction, ProcessReference};
use shim_protocol::Request;

use crate::cgroup;
use crate::container::frozen_work::Work;
use crate::container::{Command, Container, Decision, Phase, Record, Refusal, decide, health};
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;
use crate::shim::RequestError;

/// Freezes and thaws containers.
pub(crate) struct Freezer {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
}

impl Freezer {
    /// Freezes a container.
    ///
    /// # Errors
    /// Unknown container, or one that does not run or is frozen.
    pub(crate) async fn pause(self: &Arc<Self>, reference: &str) -> Result<(), Error> {
        self.freeze(reference, Command::Pause, EventAction::Pause).await
    }

    /// Thaws a container.
    ///
    /// # Errors
    /// Unknown container, or one that is not frozen.
    pub(crate) async fn unpause(self: &Arc<Self>, reference: &str) -> Result<(), Error> {
        self.freeze(reference, Command::Unpause, EventAction::Unpause).await
    }

    async fn freeze(
        self: &Arc<Self>,
        reference: &str,
        command: Command,
        action: EventAction,
    ) -> Result<(), Error> {
        let container = self.directory.find(reference)?;
        let freezer = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let act = action.word();
            freezer.change(&container, command, action).await.map_err(|error| error.on(act, reference))
        })
        .await
    }

    async fn change(
        &self,
        container: &Arc<Container>,
        command: Command,
        action: EventAction,
    ) -> Result<(), Error> {
        let _order = container.transition.lock().await;
        let id = || container.id().to_string();
        let phase = container.record().phase;
        match decide(phase, command) {
            Decision::Run => {}
            Decision::Refuse(Refusal::Paused) => return Err(Error::AlreadyPaused(id())),
            Decision::Refuse(Refusal::NotPaused) => return Err(Error::NotPaused(id())),
            Decision::Refuse(_) | Decision::AlreadyDone => return Err(Error::NotRunning(id())),
        }
        let record = self.switch(container, command).await?;
        self.events.emit_container(&record, action, &[]);
        Ok(())
    }

    /// Freezes or thaws a container and records it. The caller holds its lock and has checked its phase.
    async fn switch(&self, container: &Container, command: Command) -> Result<Arc<Record>, Error> {
        let shim = container.shim().ok_or_else(|| Error::NotRunning(container.id().to_string()))?;
        let (request, next): (_, fn(ProcessReference) -> Phase) = if command == Command::Pause {
            (Request::Pause, Phase::Paused)
        } else {
            (Request::Unpause, Phase::Running)
        };
        if let Err(error) = shim.request(request, None).await {
            if command == Command::Pause && matches!(error, RequestError::Silent) {
                shim.undo(Request::Unpause).await;
            }
            return Err(error.of_running(container.id().as_str()));
        }
        let (record, written) = container.update_saved(|record| {
            if let Some(process) = record.phase.process() {
                record.phase = next(process);
                record.frozen_for_work &= command == Command::Pause;
                if record.is_paused_by_client() {
                    health::suspend(record);
                }
            }
        });
        // The next daemon freezes or thaws it according to its row.
        let _ = written.wait().await;
        Ok(record)
    }

    /// Freezes a container that runs for work that needs it still; returns that work, which [`Self::thaw`] ends. Nothing
    /// when the container does not run, or a client has frozen it.
    ///
    /// # Errors
    /// When it runs and cannot be frozen.
    pub(crate) async fn freeze_for_work(&self, container: &Container) -> Result<Option<Work>, Error> {
        let _order = container.transition.lock().await;
        let record = container.record();
        if record.is_paused() && record.frozen_for_work {
            return Ok(Some(container.frozen_work.join()));
        }
        if !matches!(record.phase, Phase::Running(_)) {
            return Ok(None);
        }
        // Recorded first: if the daemon dies meanwhile, the next one thaws it.
        let (_, written) = container.update_saved(|record| record.frozen_for_work = true);
        let _ = written.wait().await;
        match self.switch(container, Command::Pause).await {
            Ok(_) => Ok(Some(container.frozen_work.begin())),
            // It ended by itself: what it left is what the work finds.
            Err(Error::NotRunning(_)) => Ok(None),
            Err(error) => {
                self.thaw_in_order(container).await;
                Err(error)
            }
        }
    }

    /// Thaws a container that is to end: a frozen one does not act on signals.
    pub(crate) async fn thaw_to_end(&self, container: &Container) {
        let _order = container.transition.lock().await;
        let is_clients = container.record().is_paused_by_client();
        let thawed = self.thaw_in_order(container).await;
        if let Some(record) = thawed.filter(|record| is_clients && record.is_running()) {
            self.events.emit_container(&record, EventAction::Unpause, &[]);
        }
    }

    /// Ends the operation, and thaws the container when no other operation needs it frozen; returns whether
    /// it did. A container that a client has frozen since stays frozen.
    pub(crate) async fn thaw(&self, container: &Container, work: Work) -> bool {
        let _order = container.transition.lock().await;
        let is_last = container.frozen_work.end(&work);
        is_last && container.record().frozen_for_work && self.thaw_in_order(container).await.is_some()
    }

    /// The caller holds its lock. Returns its record when it was thawed.
    async fn thaw_in_order(&self, container: &Container) -> Option<Arc<Record>> {
        let record = container.record();
        let is_frozen = record.is_paused() || (record.is_running() && record.frozen_for_work);
        if !is_frozen {
            return None;
        }
        let switched = self.switch(container, Command::Unpause).await;
        switched.inspect_err(|error| tracing::warn!("cannot thaw container {}: {error}", container.id())).ok()
    }

    /// Whether [`Self::settle_freezer`] has anything to do for a container that runs.
    pub(crate) fn may_be_open(record: &Record) -> bool {
        record.frozen_for_work || record.is_paused() || cgroup::may_be_frozen(&record.cgroups)
    }

    /// Freezes or thaws a container that is taken over as its record has it: the last daemon may have died
    /// between freezing or thawing it and recording that, or during an operation that had frozen it.
    pub(crate) async fn settle_freezer(&self, container: &Container) {
        let _order = container.transition.lock().await;
        let record = container.record();
        if record.frozen_for_work {
            self.thaw_in_order(container).await;
            return;
        }
        let Some(shim) = container.shim().filter(|_| record.is_running()) else { return };
        if !Self::may_be_open(&record) {
            return;
        }
        let request = if record.is_paused() { Request::Pause } else { Request::Unpause };
        if let Err(error) = shim.request(request, None).await
            && !error.means_ended()
        {
            tracing::warn!("cannot freeze or thaw container {} as it was: {error}", container.id());
        }
    }
}
