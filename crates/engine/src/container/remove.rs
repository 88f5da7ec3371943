//! Removes a container and all that is its own.

use std::sync::Arc;

use model::EventAction;
use tokio::sync::MutexGuard;

use crate::container::stop::{StopOptions, Stopper};
use crate::container::{Command, Container, Decision, Phase, Refusal, RemovalState, decide, storage};
use crate::directory::Directory;
use crate::disposal::remove_run_directory;
use crate::error::Error;
use crate::events::{Events, Undelivered};
use crate::image::Images;
use crate::networking::Networking;
use crate::paths::Paths;
use crate::store::Row;
use crate::volumes::Volumes;

/// How often a container is ended that others start again while it is removed by force.
const ATTEMPTS: u32 = 20;

/// How a container is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Its anonymous volumes go too, unless another container uses them.
    pub volumes: bool,
    /// It is killed first when it runs.
    pub force: bool,
    /// Only the link of this name goes, not the container.
    pub link: bool,
}

/// Removes containers.
pub(crate) struct Remover {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) stopper: Arc<Stopper>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) images: Arc<Images>,
}

impl Remover {
    /// Removes a container, or a link.
    ///
    /// # Errors
    /// Unknown, running without force, or already being removed.
    pub(crate) async fn remove(self: &Arc<Self>, reference: &str, removal: Removal) -> Result<(), Error> {
        if removal.link {
            return self.networking.links.remove(reference).await;
        }
        let container = self.directory.find(reference)?;
        let remover = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            remover.destroy(&container, removal).await.map_err(|error| error.on("destroy", reference))
        })
        .await
    }

    /// Hides a container, and then removes it with all that is its own, killing it where it runs. One that cannot be removed is
    /// shown again.
    ///
    /// # Errors
    /// When something of it is left.
    pub(crate) fn remove_hidden(
        self: &Arc<Self>,
        container: Arc<Container>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.directory.hide(container.id());
        let remover = Arc::clone(self);
        async move {
            let removal = Removal { volumes: true, force: true, link: false };
            match remover.destroy(&container, removal).await {
                // Another caller is removing it, or has.
                Err(Error::AlreadyRemoving) => Ok(()),
                Err(error) => {
                    remover.directory.insert(container);
                    Err(error)
                }
                Ok(()) => Ok(()),
            }
        }
    }

    async fn destroy(self: &Arc<Self>, container: &Arc<Container>, removal: Removal) -> Result<(), Error> {
        match decide(container.record().phase, Command::Remove { force: removal.force }) {
            Decision::Run | Decision::AlreadyDone => {}
            Decision::Refuse(Refusal::Removing) => return Err(Error::AlreadyRemoving),
            Decision::Refuse(_) => return Err(refusal(container)),
        }
        let order = self.until_removable(container, removal.force).await?;
        let phase = container.record().phase;
        container.publish(|record| {
            record.phase = Phase::Removing;
            record.volumes_go = removal.volumes;
        });
        let (remover, own) = (Arc::clone(self), Arc::clone(container));
        let work = tokio::task::spawn_blocking(move || remover.throw_away(&own));
        let undelivered = match crate::outcome::joined(work.await).and_then(|result| result) {
            Ok(undelivered) => undelivered,
            Err(error) => {
                // Nothing has gone: it is what it was.
                container.update(|record| record.phase = phase);
                container.removal.send_replace(RemovalState::Failed(model::with_causes(&error)));
                return Err(error);
            }
        };
        container.removal.send_replace(RemovalState::Done);
        container.waiting_clients.clear();
        drop(order);
        self.directory.forget_execs(&container.execs.take_all());
        self.images.remove_leaving().await;
        drop(undelivered);
        Ok(())
    }

    /// Ends what a container does, and takes its lock in a state in which it can be removed.
    async fn until_removable<'c>(
        self: &Arc<Self>,
        container: &'c Arc<Container>,
        force: bool,
    ) -> Result<MutexGuard<'c, ()>, Error> {
        for _ in 0..ATTEMPTS {
            let phase = container.record().phase;
            if force && (phase.is_alive() || matches!(phase, Phase::Starting | Phase::Restarting)) {
                self.stopper.end(container, StopOptions { grace: Some(0), signal: None }).await?;
            }
            self.stopper.cancel_restart(container).await;
            let order = container.transition.lock().await;
            match decide(container.record().phase, Command::Remove { force: false }) {
                Decision::Run | Decision::AlreadyDone => return Ok(order),
                Decision::Refuse(Refusal::Removing) => return Err(Error::AlreadyRemoving),
                // Something that waited for the lock, such as its policy, has started it meanwhile.
                Decision::Refuse(_) if force => {}
                Decision::Refuse(_) => break,
            }
        }
        Err(refusal(container))
    }

    /// Deletes a container's row, then moves its files out of sight; they are deleted later. Files without a
    /// row are deleted by the next daemon.
    fn throw_away(&self, container: &Container) -> Result<Option<Undelivered>, Error> {
        let undelivered = self.forget(container)?;
        remove_run_directory(&self.paths.run(container.id()));
        let directory = self.paths.container(container.id());
        let trash = self.paths.trash().join(container.id().as_str());
        if container.record().settings.host.storage_options.is_some() {
            storage::release(&directory);
        }
        container.tree.throw_away(&directory, trash);
        Ok(undelivered)
    }

    /// Removes the records of a container: its row, with those of its volumes where these are removed too,
    /// the links to it, then itself. Its event is delivered when the response to the removal was sent.
    ///
    /// # Errors
    /// When the database fails; then the records stay.
    pub(crate) fn forget(&self, container: &Container) -> Result<Option<Undelivered>, Error> {
        let record = container.record();
        let kept = if record.volumes_go { &[][..] } else { &record.mounts };
        let mut undelivered = None;
        self.volumes.release(&record, kept, |mut gone| {
            gone.push(Row::NoExecs(record.id.clone()));
            let event = self.events.plan_container(&record, EventAction::Destroy);
            gone.extend(event.row());
            container.delete_row(gone)?;
            undelivered = Some(self.events.publish_after_answer(event));
            self.networking.links.forget_to(&record.id);
            self.directory.remove(container);
            Ok(())
        })?;
        Ok(undelivered)
    }
}

/// Why a running container is not removed without force.
fn refusal(container: &Container) -> Error {
    if container.record().is_paused() { Error::RemovePaused } else { Error::RemoveRunning }
}
