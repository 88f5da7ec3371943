//! Lends the builder what it needs of the engine: containers for RUN, and pulls for FROM.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use builder::{
    BuildError, BuildRequest, CachePrune, CacheRecord, EventSink, ImagePuller, MadeContainer, OutputStream,
    RunStep, Session, StepError, StepKind, StepRunner,
};
use images::document::StringOrList;
use images::registry::{
    Cancellation, CredentialMap, Credentials, Platform, Progress, PullRequest, PulledNames,
};
use model::{
    ContainerId, ContainerSettings, Digest, ErrorKind, EventAction, ImageReference, LogConfig, LogDriver,
    ResourceKind, Signal,
};
use tokio::runtime::Handle;

use crate::container::Purpose;
use crate::container::containers::Containers;
use crate::container::create::NewContainer;
use crate::container::remove::Removal;
use crate::container::settings;
use crate::container::wait::WaitCondition;
use crate::error::Error;
use crate::events::Events;
use crate::image::Images;
use crate::paths::Paths;
use crate::spare_directories::SpareDirectories;
use crate::step_changes::without_mount_points;
use crate::step_error::failed;
use crate::step_hosts::{Remains, StepHosts, StepServices};
use crate::step_output::{self, OutputEnd};
use crate::store::Durability;
use crate::streams::{AttachRequest, Streams};

/// The identity with which a build pulls from registries.
pub trait CredentialSource: Sync {
    /// The credentials for a registry's host. May block.
    fn credentials(&self, host: &str) -> Option<Credentials>;
}

impl CredentialSource for CredentialMap {
    fn credentials(&self, host: &str) -> Option<Credentials> {
        self.for_host(host).cloned()
    }
}

/// Builds images.
pub struct Builds {
    pub(crate) builder: builder::Builder,
    pub(crate) images: Arc<Images>,
    pub(crate) events: Arc<Events>,
    pub(crate) containers: Arc<Containers>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) remains: Remains,
}

impl Builds {
    /// Builds an image; blocks the calling thread, which must be one for blocking work.
    ///
    /// # Errors
    /// [`BuildError`] with the text for the client.
    pub fn build(
        self: &Arc<Self>,
        request: BuildRequest,
        credentials: &dyn CredentialSource,
        events: &dyn EventSink,
        cancellation: &Cancellation,
    ) -> Result<Digest, BuildError> {
        // Refused even where no step runs anything.
        settings::check_host(&request.host).map_err(failed)?;
        let spares = SpareDirectories::new(&self.paths);
        let runtime = Handle::current();
        let hosts = StepHosts::new(StepServices {
            containers: Arc::clone(&self.containers),
            streams: Arc::clone(&self.streams),
            images: Arc::clone(&self.images),
            paths: Arc::clone(&self.paths),
            runtime: runtime.clone(),
            remains: self.remains.clone(),
        });
        let steps = Steps { builds: Arc::clone(self), runtime, spares, hosts };
        let puller = Puller { builds: self, credentials };
        let session = Session { runner: &steps, puller: &puller, events, cancellation };
        let names = request.names.clone();
        let image = self.builder.build(request, &session)?;
        self.images.emit(EventAction::Create, &image, &image.to_string());
        for name in names {
            self.images.emit(EventAction::Tag, &image, &name.to_string());
        }
        Ok(image)
    }

    /// The build cache's records, the longest unused first; blocks the calling thread.
    ///
    /// # Errors
    /// `Internal` when it cannot be read.
    pub fn cache_records(&self) -> Result<Vec<CacheRecord>, BuildError> {
        self.builder.cache_records()
    }

    /// Removes what is kept of builds and publishes how much that freed; blocks the calling thread.
    ///
    /// # Errors
    /// `Internal` when something cannot be removed.
    pub fn prune_cache(&self, prune: &CachePrune<'_>) -> Result<Vec<CacheRecord>, BuildError> {
        let gone = self.builder.prune_cache(prune)?;
        let reclaimed = gone.iter().filter(|record| !record.shared).map(|record| record.size).sum();
        self.events.emit_prune(ResourceKind::Builder, reclaimed);
        Ok(gone)
    }
}

struct Puller<'a> {
    builds: &'a Builds,
    credentials: &'a dyn CredentialSource,
}

impl ImagePuller for Puller<'_> {
    fn pull(
        &self,
        image: &ImageReference,
        platform: Option<&Platform>,
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Result<Digest, StepError> {
        let credentials =
            self.credentials.credentials(image.repository.host().unwrap_or(images::registry::HUB));
        let request = PullRequest {
            store: self.builds.images.store(),
            reference: image,
            platform,
            names: PulledNames::Tag,
            credentials: credentials.as_ref(),
        };
        let pulled = self.builds.images.registry().pull(&request, progress, cancellation);
        let pulled = pulled.map_err(|error| StepError::new(error.kind(), error))?;
        let missing = || StepError::new(ErrorKind::NotFound, format!("no image came for {image}"));
        let first = pulled.first().map(|pulled| pulled.image).ok_or_else(missing)?;
        self.builds.images.emit(EventAction::Pull, &first, &image.to_string());
        Ok(first)
    }
}

struct Steps {
    builds: Arc<Builds>,
    runtime: Handle,
    spares: SpareDirectories,
    hosts: StepHosts,
}

impl StepRunner for Steps {
    fn create(&self, step: &RunStep) -> Result<MadeContainer, StepError> {
        let Some(image) = step.image else {
            return Err(failed(Error::refused(
                "cannot run a command in an empty image: FROM scratch has no files yet",
            )));
        };
        let mut config = step.config.clone();
        config.image = image.hexadecimal();
        config.entrypoint.get_or_insert(StringOrList(Vec::new()));
        let settings = config.into_settings().map_err(|error| failed(Error::refused(error.to_string())))?;
        let mut host = step.host.clone();
        if step.kind == StepKind::Sandbox {
            // Its output goes to the client of the build, and no client sees the container to read a log from it
            // later.
            host.log = LogConfig { driver: Some(LogDriver::None), ..LogConfig::default() };
        }
        let warnings = crate::warnings::discard_unsupported(&mut host.resources);
        let new = NewContainer {
            settings: ContainerSettings { host, ..settings },
            id: Some(step.id.clone()),
            purpose: match step.kind {
                StepKind::Container => Purpose::Client,
                StepKind::Sandbox => Purpose::Step,
            },
            ..NewContainer::default()
        };
        if self.hosts.can_host(step, &self.builds.containers.creator.options) {
            self.hosts.create(step, new)?;
            return Ok(MadeContainer { warnings });
        }
        if step.kind == StepKind::Sandbox {
            self.spares.give(&step.id);
        }
        self.builds.containers.creator.make(new, Durability::Crash).map_err(failed)?;
        Ok(MadeContainer { warnings })
    }

    fn run(
        &self,
        container: &ContainerId,
        output: &mut dyn FnMut(OutputStream, &[u8]),
        cancellation: &Cancellation,
    ) -> Result<i64, StepError> {
        if let Some(code) = self.hosts.run(container, output, cancellation) {
            return code;
        }
        let socket = |source| failed(Error::Shim { act: "attach to", source });
        let (ours, theirs) = UnixStream::pair().map_err(socket)?;
        let request = AttachRequest { stdout: true, stderr: true, stream: true, ..AttachRequest::default() };
        let session = self.builds.streams.prepare_attach(container.as_str(), request).map_err(failed)?;
        self.runtime.block_on(session.join(theirs.into(), Vec::new())).map_err(failed)?;
        self.runtime.block_on(self.builds.containers.start(container.as_str(), None)).map_err(failed)?;
        let containers = &self.builds.containers;
        if step_output::show(&ours, output, cancellation).map_err(socket)? == OutputEnd::Cancelled {
            let _ = self.runtime.block_on(containers.kill(container.as_str(), Signal::KILL));
        }
        let wait = containers.begin_wait(container.as_str(), WaitCondition::NotRunning).map_err(failed)?;
        Ok(self.runtime.block_on(wait.outcome()).exit_code.into())
    }

    fn changes(&self, container: &ContainerId) -> Result<PathBuf, StepError> {
        if let Some(changes) = self.hosts.changes(container) {
            return changes;
        }
        let record = self.builds.containers.find(container.as_str()).map_err(failed)?.record();
        let upper = without_mount_points(&self.builds.images, &self.builds.paths, &record).map_err(failed)?;
        self.builds.events.emit_container(&record, EventAction::Commit, &[]);
        Ok(upper)
    }

    fn remove(&self, container: &ContainerId) -> Result<(), StepError> {
        if let Some(removed) = self.hosts.remove(container) {
            return removed;
        }
        let removal = Removal { volumes: true, force: true, link: false };
        let containers = &self.builds.containers;
        self.runtime
            .block_on(async {
                self.spares.take(&*containers.find(container.as_str())?).await;
                containers.remove(container.as_str(), removal).await
            })
            .map_err(failed)
    }

    fn finish(&self) {
        self.hosts.finish();
    }

    fn finish_behind(&self, end: Box<dyn FnOnce() + Send>) {
        self.hosts.finish_behind(end);
    }
}
