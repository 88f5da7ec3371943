//! One container that hosts steps.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use builder::{OutputStream, RunStep, StepError};
use images::registry::Cancellation;
use model::{ContainerId, ContainerSpec, ExecId, HostSettings, Namespace, ProcessReference, Signal};
use shim_protocol::{Attach, Request, Step};
use tokio::runtime::Handle;

use super::remains::Remains;
use super::traffic::Traffic;
use crate::container::containers::Containers;
use crate::container::create::NewContainer;
use crate::container::remove::Removal;
use crate::container::{Container, Purpose, Record, specification};
use crate::error::{Error, file_error};
use crate::image::Images;
use crate::paths::Paths;
use crate::random;
use crate::shim::Shim;
use crate::spare_directories::remove_changed_files;
use crate::step_changes::without_mount_points;
use crate::step_error::failed;
use crate::step_output::{self, OutputEnd};
use crate::store::Durability;
use crate::streams::Streams;

/// The exit code of a step whose container was taken down: 128 and the number of SIGKILL.
const KILLED: i64 = 137;

/// The engine's services for hosts.
pub(crate) struct StepServices {
    pub(crate) containers: Arc<Containers>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) images: Arc<Images>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) runtime: Handle,
    pub(crate) remains: Remains,
}

impl StepServices {
    /// Removes a container and all that is its own.
    fn remove(&self, id: &ContainerId) -> Result<(), StepError> {
        let removal = Removal { volumes: true, force: true, link: false };
        match self.runtime.block_on(self.containers.remove(id.as_str(), removal)) {
            // It was removed by another caller.
            Err(Error::NoSuchContainer(_)) => Ok(()),
            removed => removed.map_err(failed),
        }
    }

    /// Makes the directory of a host where directories of builds are made, apart from others on disk: its steps make and delete
    /// many files in it. Where that fails it is made with the container.
    fn make_apart(&self, id: &ContainerId) {
        let apart = self.paths.builds().join(id.as_str());
        let made =
            sys::private::directory(&apart).and_then(|()| std::fs::rename(&apart, self.paths.container(id)));
        if let Err(error) = made {
            tracing::debug!("cannot make the directory of {id} apart: {error}");
            let _ = std::fs::remove_dir(&apart);
        }
    }
}

/// A running container whose init only holds the network and the cgroups that its steps share.
pub(super) struct StepHost {
    container: Arc<Container>,
    /// The settings that all of its steps have.
    settings: HostSettings,
    /// The packets in its network before its next step; `None` when that cannot be read.
    traffic: Option<Traffic>,
}

/// A step, and the container that it would be by itself.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) step: RunStep,
    pub(super) new: NewContainer,
}

/// A step that a host runs.
pub(super) struct Prepared {
    record: Arc<Record>,
    spec: ContainerSpec,
}

/// A step that is about to run.
pub(super) struct HostedStep {
    pub(super) host: StepHost,
    pub(super) prepared: Prepared,
    pub(super) order: Order,
}

impl StepHost {
    /// Makes and starts the container. It has the id of its first step, which the build has noted.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client. A container that could not be started is left to be removed by its id.
    pub(super) fn start(services: &StepServices, order: &Order) -> Result<Self, StepError> {
        let Order { step, new } = order;
        let containers = &services.containers;
        services.make_apart(&step.id);
        let new = NewContainer { purpose: Purpose::StepHost, ..new.clone() };
        if let Err(error) = containers.creator.make(new, Durability::Crash) {
            // What was refused before anything of it was made.
            let _ = std::fs::remove_dir(services.paths.container(&step.id));
            return Err(failed(error));
        }
        let started = services.runtime.block_on(containers.start(step.id.as_str(), None));
        let container = started.and_then(|_| containers.find(step.id.as_str()));
        let container = match container {
            Ok(container) => container,
            Err(error) => {
                services.remove(&step.id)?;
                return Err(failed(error));
            }
        };
        let traffic = container.record().phase.process().and_then(Traffic::of);
        Ok(Self { container, settings: step.host.clone(), traffic })
    }

    /// The id of its container.
    pub(super) fn id(&self) -> &ContainerId {
        self.container.id()
    }

    /// Whether a step with these settings can run in it.
    pub(super) fn fits(&self, settings: &HostSettings) -> bool {
        self.settings == *settings
    }

    /// Whether nothing was sent in its network while its last step ran.
    pub(super) fn is_unused(&self) -> bool {
        let traffic = self.process().and_then(Traffic::of);
        traffic.is_some() && traffic == self.traffic
    }

    /// Whether the next step finds in it nothing of those before: it runs, and nothing was sent in its network but by the kernel.
    pub(super) fn is_as_new(&mut self) -> bool {
        let Some(process) = self.process() else { return false };
        let (Some(now), Some(before)) = (Traffic::of(process), &self.traffic) else { return false };
        let is_as_new = now == *before || now.may_be_of_the_kernel(before, process);
        self.traffic = Some(now);
        is_as_new
    }

    /// Its init, while it can run steps.
    fn process(&self) -> Option<ProcessReference> {
        let record = self.container.record();
        record.phase.process().filter(|_| !record.is_paused())
    }

    /// Its shim, while that can start steps.
    fn shim(&self) -> Option<Arc<Shim>> {
        self.process()?;
        self.container.shim().filter(|shim| !shim.is_gone())
    }

    /// Prepares a step: its layer, the files of its resolver, and its mounts. `None` when the host was taken down meanwhile.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    pub(super) fn prepare(
        &self,
        services: &StepServices,
        order: &Order,
    ) -> Result<Option<Prepared>, StepError> {
        // No removal takes its directory away meanwhile.
        let _order = services.runtime.block_on(self.container.transition.lock());
        let Some(process) = self.process() else { return Ok(None) };
        self.specify(services, order, process).map(Some).map_err(failed)
    }

    fn specify(
        &self,
        services: &StepServices,
        order: &Order,
        process: ProcessReference,
    ) -> Result<Prepared, Error> {
        let containers = &services.containers;
        let new = NewContainer { id: Some(self.id().clone()), ..order.new.clone() };
        let record = containers.creator.make_next_step(&self.container, new)?;
        let directory = services.paths.container(self.id());
        remove_changed_files(&directory).map_err(file_error("check the files of", &directory))?;
        containers.starter.write_own_files(&record, Purpose::Step)?;
        let (mut inputs, _) =
            services.runtime.block_on(containers.starter.lookup.gather(&record, Purpose::Step))?;
        inputs.namespaces.network = Namespace::Process(process);
        let spec = specification::build(&record, inputs)?;
        // By which its keys are named.
        let spec = ContainerSpec { id: order.step.id.clone(), ..spec };
        Ok(Prepared { record, spec })
    }

    /// Its container, which is to be removed.
    pub(super) fn into_container(self) -> Arc<Container> {
        self.container
    }

    /// Removes the container and all that is its own.
    ///
    /// # Errors
    /// [`StepError`] when something of it is left.
    pub(super) fn remove(self, services: &StepServices) -> Result<(), StepError> {
        services.remove(self.id())
    }
}

impl HostedStep {
    /// Runs the step and returns its exit code; `None` when the host was taken down, or frozen, before the step began.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client when its program cannot be run.
    pub(super) fn run(
        &self,
        services: &StepServices,
        output: &mut dyn FnMut(OutputStream, &[u8]),
        cancellation: &Cancellation,
    ) -> Result<Option<i64>, StepError> {
        let socket = |source| failed(Error::Shim { act: "attach to", source });
        let (ours, theirs) = UnixStream::pair().map_err(socket)?;
        let container = &self.host.container;
        let id = ExecId::from_random(random::bytes());
        let attach = Attach {
            client: services.streams.clients.next(),
            stdin: false,
            stdout: true,
            stderr: true,
            logs: false,
            stream: true,
            framed: true,
            detach_keys: Vec::new(),
            early_input: Vec::new(),
            quiet: true,
        };
        let step = Step { id: id.clone(), spec: self.prepared.spec.clone(), attach: Some(attach) };
        let begun = services.runtime.block_on(async {
            // It is neither frozen nor removed until the step has begun.
            let _order = container.transition.lock().await;
            let Some(shim) = self.host.shim() else { return Ok(None) };
            let end = container.running_steps.begin(id);
            shim.request(Request::Step(Box::new(step)), Some(theirs.as_fd())).await.map(|_| Some(end))
        });
        let Some(end) = begun.map_err(|error| failed(error.into()))? else { return Ok(None) };
        drop(theirs);
        if step_output::show(&ours, output, cancellation).map_err(socket)? == OutputEnd::Cancelled {
            let _ =
                services.runtime.block_on(services.containers.kill(container.id().as_str(), Signal::KILL));
        }
        Ok(Some(services.runtime.block_on(end).map_or(KILLED, i64::from)))
    }

    /// Moves the step's changes out of the host's directory, which is removed with the host; returns where
    /// they are.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn take_changes(&self, services: &StepServices) -> Result<PathBuf, StepError> {
        let taken = || {
            let upper = without_mount_points(&services.images, &services.paths, &self.prepared.record)?;
            let changes = services.paths.builds().join(format!("changes-{}", self.prepared.spec.id));
            std::fs::rename(&upper, &changes).map_err(file_error("rename", &upper))?;
            Ok(changes)
        };
        taken().map_err(failed)
    }
}
