//! Freezes and thaws a container's processes.

use std::sync::Arc;

use model::ProcessReference;
use shim_protocol::Request;

use crate::container::{Command, Container, Decision, Phase, Refusal, decide};
use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Freezes a container.
    ///
    /// # Errors
    /// Unknown container, or one that does not run or is frozen.
    pub async fn pause(self: &Arc<Self>, reference: &str) -> Result<(), Error> {
        self.freeze(reference, Command::Pause, "pause").await
    }

    /// Thaws a container.
    ///
    /// # Errors
    /// Unknown container, or one that is not frozen.
    pub async fn unpause(self: &Arc<Self>, reference: &str) -> Result<(), Error> {
        self.freeze(reference, Command::Unpause, "unpause").await
    }

    async fn freeze(
        self: &Arc<Self>,
        reference: &str,
        command: Command,
        act: &'static str,
    ) -> Result<(), Error> {
        let container = self.find(reference)?;
        let engine = Arc::clone(self);
        crate::outcome::finish(async move {
            engine
                .change(&container, command, act)
                .await
                .map_err(|error| error.on(act, container.id().as_str()))
        })
        .await
    }

    async fn change(&self, container: &Arc<Container>, command: Command, act: &str) -> Result<(), Error> {
        let _order = container.transition.lock().await;
        let id = || container.id().to_string();
        let phase = container.record().phase;
        match decide(phase, command) {
            Decision::Run => {}
            Decision::Refuse(Refusal::Paused) => return Err(Error::AlreadyPaused(id())),
            Decision::Refuse(Refusal::NotPaused) => return Err(Error::NotPaused(id())),
            Decision::Refuse(_) | Decision::AlreadyDone => return Err(Error::NotRunning(id())),
        }
        let shim = container.shim().ok_or_else(|| Error::NotRunning(id()))?;
        let (request, next): (_, fn(ProcessReference) -> Phase) = if command == Command::Pause {
            (Request::Pause, Phase::Paused)
        } else {
            (Request::Unpause, Phase::Running)
        };
        shim.request(request, None).await?;
        let record = container.update(&self.database, |record| {
            if let Some(process) = record.phase.process() {
                record.phase = next(process);
            }
        })?;
        self.emit(&record, act, &[]);
        Ok(())
    }
}
