//! The containers as front ends see them: found, listed, and changed by verbs.

use std::path::PathBuf;
use std::sync::Arc;

use model::{ContainerId, HostSettings, LogConfig, Signal};

use crate::container::create::{Created, Creator, NewContainer};
use crate::container::pause::Freezer;
use crate::container::remove::{Removal, Remover};
use crate::container::restart::Restarter;
use crate::container::start::Starter;
use crate::container::stop::{StopOptions, Stopper};
use crate::container::update::{ContainerUpdate, Updater};
use crate::container::{Container, Record};
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;
use crate::networking::Networking;
use crate::outcome::Outcome;
use crate::paths::Paths;

/// All containers of the engine. The verbs run to their end even when their caller stops waiting.
pub struct Containers {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) creator: Arc<Creator>,
    pub(crate) starter: Arc<Starter>,
    pub(crate) stopper: Arc<Stopper>,
    pub(crate) freezer: Arc<Freezer>,
    pub(crate) restarter: Arc<Restarter>,
    pub(crate) remover: Arc<Remover>,
    pub(crate) updater: Arc<Updater>,
}

impl Containers {
    /// Finds a container by id, name, the start of its id, or a link's name.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] or [`Error::AmbiguousContainer`].
    pub fn find(&self, reference: &str) -> Result<Arc<Container>, Error> {
        self.directory.find(reference)
    }

    /// All containers, newest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Container>> {
        self.directory.newest_first()
    }

    /// The records of all containers, newest first.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<Record>> {
        self.directory.records()
    }

    /// The names of a container, each with its slash: its own first, then those that links give it.
    #[must_use]
    pub fn names_of(&self, record: &Record) -> Vec<String> {
        self.directory.names_of(record)
    }

    /// A container's links as inspect shows them, `/target:/parent/alias`, by the present names.
    #[must_use]
    pub fn link_entries(&self, record: &Record) -> Option<Vec<String>> {
        crate::networking::link_entries(&self.directory, record)
    }

    /// Where a container's own files are.
    #[must_use]
    pub fn directory_of(&self, id: &ContainerId) -> PathBuf {
        self.paths.container(id)
    }

    /// Where a container's json-file log is.
    #[must_use]
    pub fn log_path(&self, record: &Record) -> PathBuf {
        self.paths.log(record)
    }

    /// Checks a log's driver and its options before a container is made with them; its start checks them again.
    ///
    /// # Errors
    /// `Invalid` for an unknown driver or option.
    pub fn check_log(&self, log: &LogConfig) -> Result<(), Error> {
        if log.driver.is_none() {
            return Ok(());
        }
        Ok(crate::log_options::check(log).map(drop)?)
    }

    /// Makes a container.
    ///
    /// # Errors
    /// Refused settings, an unknown image, a taken name. Nothing is left then.
    pub async fn create(&self, new: NewContainer) -> Result<Created, Error> {
        self.creator.create(new).await
    }

    /// Starts a container, first taking over settings of the host that old clients send with the start.
    ///
    /// # Errors
    /// Unknown container, refused settings, or a program that cannot be run.
    pub async fn start(&self, reference: &str, host: Option<HostSettings>) -> Result<Outcome, Error> {
        self.starter.start(reference, host).await
    }

    /// Stops a container.
    ///
    /// # Errors
    /// Unknown container, or one whose processes do not end.
    pub async fn stop(&self, reference: &str, options: StopOptions) -> Result<Outcome, Error> {
        self.stopper.stop(reference, options).await
    }

    /// Sends a signal; SIGKILL is waited for.
    ///
    /// # Errors
    /// Unknown container, or one that does not run.
    pub async fn kill(&self, reference: &str, signal: Signal) -> Result<(), Error> {
        self.stopper.kill(reference, signal).await
    }

    /// Stops a container that runs, then starts it.
    ///
    /// # Errors
    /// Unknown container; one that does not end or cannot be started.
    pub async fn restart(&self, reference: &str, options: StopOptions) -> Result<(), Error> {
        self.restarter.restart(reference, options).await
    }

    /// Changes the limits and the restart policy of a container; returns what the host cannot do of it.
    ///
    /// # Errors
    /// Unknown container, values that cannot be, and what the kernel refuses; then nothing has changed.
    pub async fn update(&self, reference: &str, update: ContainerUpdate) -> Result<Vec<String>, Error> {
        self.updater.update(reference, update).await
    }

    /// Freezes a container.
    ///
    /// # Errors
    /// Unknown container, or one that does not run or is frozen.
    pub async fn pause(&self, reference: &str) -> Result<(), Error> {
        self.freezer.pause(reference).await
    }

    /// Thaws a container.
    ///
    /// # Errors
    /// Unknown container, or one that is not frozen.
    pub async fn unpause(&self, reference: &str) -> Result<(), Error> {
        self.freezer.unpause(reference).await
    }

    /// Removes a container, or a link.
    ///
    /// # Errors
    /// Unknown, running without force, or already being removed.
    pub async fn remove(&self, reference: &str, removal: Removal) -> Result<(), Error> {
        self.remover.remove(reference, removal).await
    }
}
