//! Removes a container and all that is its own.

use std::sync::Arc;

use tokio::sync::MutexGuard;

use crate::container::stop::Stopper;
use crate::container::{Command, Container, Decision, Phase, Refusal, decide};
use crate::database::{Database, VolumeRows};
use crate::directory::Directory;
use crate::disposal::{delete_tree, remove_run_directory};
use crate::error::{Error, file_error};
use crate::events::Events;
use crate::image::Images;
use crate::networking::Networking;
use crate::paths::Paths;
use crate::volumes::Volumes;

/// How long the event of a removal waits for its answer.
const ANSWER_FIRST: std::time::Duration = std::time::Duration::from_millis(10);

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
    pub(crate) database: Arc<Database>,
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
            return self.networking.remove_link(reference).await;
        }
        let container = self.directory.find(reference)?;
        let remover = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            remover.destroy(&container, removal).await.map_err(|error| error.on("destroy", reference))
        })
        .await
    }

    async fn destroy(self: &Arc<Self>, container: &Arc<Container>, removal: Removal) -> Result<(), Error> {
        match decide(container.record().phase, Command::Remove { force: removal.force }) {
            Decision::Run | Decision::AlreadyDone => {}
            Decision::Refuse(Refusal::Removing) => return Err(Error::AlreadyRemoving),
            Decision::Refuse(_) => return Err(Error::RemoveRunning),
        }
        let _order = self.until_removable(container, removal.force).await?;
        let phase = container.record().phase;
        let record = container.update(&self.database, |record| {
            record.phase = Phase::Removing;
            record.volumes_go = removal.volumes;
        })?;
        if let Err(error) = self.throw_away(container) {
            container.update(&self.database, |record| record.phase = phase)?;
            return Err(error);
        }
        container.waiting_clients.clear();
        self.directory.forget_execs(&container.execs.take_all());
        self.tell_removal(record);
        self.images.remove_leaving().await;
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
                self.stopper.end(container, Some(0)).await?;
            }
            self.stopper.cancel_restart(container).await?;
            let order = container.transition.lock().await;
            match decide(container.record().phase, Command::Remove { force: false }) {
                Decision::Run | Decision::AlreadyDone => return Ok(order),
                Decision::Refuse(Refusal::Removing) => return Err(Error::AlreadyRemoving),
                // Something that waited for the lock, such as its policy, has started it meanwhile.
                Decision::Refuse(_) if force => {}
                Decision::Refuse(_) => break,
            }
        }
        Err(Error::RemoveRunning)
    }

    /// Tells listeners of the removal a moment later: clients that wait for the event give up their
    /// request when they see it, so the answer must be there first.
    fn tell_removal(self: &Arc<Self>, record: Arc<crate::container::Record>) {
        let events = Arc::clone(&self.events);
        tokio::spawn(async move {
            tokio::time::sleep(ANSWER_FIRST).await;
            events.emit_container(&record, "destroy", &[]);
        });
    }

    /// Moves the container's files out of sight, forgets its row, and deletes the files later.
    fn throw_away(self: &Arc<Self>, container: &Container) -> Result<(), Error> {
        let directory = self.paths.container(container.id());
        let trash = self.paths.trash().join(container.id().as_str());
        remove_run_directory(&self.paths.run(container.id()));
        match std::fs::rename(&directory, &trash) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_error("move away", &directory)(error));
            }
            _ => {}
        }
        self.forget(container)?;
        tokio::task::spawn_blocking(move || delete_tree(&trash));
        Ok(())
    }

    /// Forgets a container that is being removed: the links to it, then itself, with its volumes where they
    /// go too.
    ///
    /// # Errors
    /// When the database fails; then nothing is forgotten.
    pub(crate) fn forget(&self, container: &Container) -> Result<(), Error> {
        self.networking.forget_links_to(container.id());
        let record = container.record();
        if !record.volumes_go {
            container.forget(&self.database, &VolumeRows::default())?;
            self.directory.remove(container);
            return Ok(());
        }
        self.volumes.release(&record, &[], |gone| {
            container.forget(&self.database, &VolumeRows { used: Vec::new(), gone })?;
            self.directory.remove(container);
            Ok(())
        })
    }
}
