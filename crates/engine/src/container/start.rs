//! Starts a container: steps that each have their undo.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use model::{ErrorKind, EventAction, HostSettings, Namespace, ProcessReference, Signal, Timestamp};
use shim_protocol::{Notice, Request, RunDirectory};

use crate::container::create::Creator;
use crate::container::exit::Supervisor;
use crate::container::follow_up::FollowUps;
use crate::container::restart_policy::wants_restart;
use crate::container::start_inputs::StartLookup;
use crate::container::{
    Command, Container, Decision, Phase, Purpose, Record, Refusal, decide, health, joining, scope,
};
use crate::directory::Directory;
use crate::disposal::remove_run_directory;
use crate::error::Error;
use crate::events::Events;
use crate::fault;
use crate::networking::{Networking, relays};
use crate::outcome::{Outcome, joined};
use crate::paths::Paths;
use crate::recorded_failure::RecordedFailure;
use crate::shim::{Incoming, NewNetwork, Notices, RequestError, Shim, ShimSource};
use crate::volumes::HeldVolume;

/// How long a shim may take for one step before the start fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A shim's report of a container that waits at its gate.
struct Gate {
    init: ProcessReference,
    cgroups: Vec<std::path::PathBuf>,
    network_namespace: Option<std::os::fd::OwnedFd>,
}

/// The parts of a specification that are not in its file.
struct Written {
    /// The mounts that the shim gets.
    held: Vec<HeldVolume>,
    network: NewNetwork,
}

/// Why a start failed, with the exit code that clients are shown.
pub(crate) struct StartFailure {
    error: Error,
    exit_code: i32,
}

impl From<Error> for StartFailure {
    fn from(error: Error) -> Self {
        Self { error, exit_code: 128 }
    }
}

impl StartFailure {
    /// A shim that has given up refuses requests: its own report has the reason.
    fn or_reported(self, notices: &mut Notices) -> Self {
        if matches!(self.error, Error::System { kind: ErrorKind::Conflict, .. }) {
            while let Ok(incoming) = notices.try_recv() {
                if let Err(reported) = check_failure(incoming.notice) {
                    return reported;
                }
            }
        }
        self
    }
}

/// Starts containers.
pub(crate) struct Starter {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) creator: Arc<Creator>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) lookup: StartLookup,
    pub(crate) follow_ups: FollowUps,
    pub(crate) shims: Arc<ShimSource>,
    pub(crate) paths: Arc<Paths>,
}

impl Starter {
    /// Starts a container, first taking over settings of the host that old clients send with the start.
    ///
    /// # Errors
    /// Unknown container, refused settings, or a program that cannot be run.
    pub(crate) async fn start(
        self: &Arc<Self>,
        reference: &str,
        host: Option<HostSettings>,
    ) -> Result<Outcome, Error> {
        let container = self.directory.find(reference)?;
        let starter = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let record = container.record();
            match decide(record.phase, Command::Start) {
                Decision::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Decision::Refuse(Refusal::Paused) => return Err(Error::StartPaused),
                Decision::Refuse(_) => return Err(Error::StartRemoving),
                // Its policy starts it.
                Decision::Run if record.is_restarting() => return Ok(Outcome::AlreadyDone),
                Decision::Run => {}
            }
            if let Some(host) = host {
                starter.creator.adopt_host_settings(&container, host).await?;
            }
            starter.launch(&container, None).await.map_err(|error| error.on("start", reference))
        })
        .await
    }

    /// Runs the recipe under the container's lock. A policy brings the record on which it decided: what a
    /// client has done since then comes first.
    pub(crate) async fn launch(
        self: &Arc<Self>,
        container: &Arc<Container>,
        policy: Option<&Record>,
    ) -> Result<Outcome, Error> {
        let by_policy = policy.is_some();
        let _order = container.transition.lock().await;
        if policy.is_some_and(|decided_on| !decided_on.stands_as(&container.record())) {
            return Ok(Outcome::AlreadyDone);
        }
        match decide(container.record().phase, Command::Start) {
            Decision::AlreadyDone => return Ok(Outcome::AlreadyDone),
            Decision::Refuse(Refusal::Paused) => return Err(Error::StartPaused),
            Decision::Refuse(_) => return Err(Error::StartRemoving),
            Decision::Run => {}
        }
        if !by_policy {
            container.forget_restart_delay();
        }
        container.publish(|record| {
            if by_policy {
                // Clients see it as restarting until it runs.
                record.restart_count += 1;
            } else {
                record.phase = Phase::Starting;
                record.restart_count = 0;
                record.stopped_by_client = false;
            }
        });
        match self.run_steps(container).await {
            Ok(()) => Ok(Outcome::Done),
            Err(failure) => {
                self.lookup.volume_mounts.let_go(&container.record()).await;
                self.record_failed_start(container, &failure, by_policy);
                Err(failure.error)
            }
        }
    }

    async fn run_steps(self: &Arc<Self>, container: &Arc<Container>) -> Result<(), StartFailure> {
        let record = container.record();
        let directory = self.paths.run(&record.id);
        let Written { held, network } =
            self.write_specification(&record, container.purpose, &directory).await?;
        let namespaces: Vec<BorrowedFd<'_>> = held.iter().map(|held| held.namespace.as_fd()).collect();
        let spawned = fault::check("spawn").and_then(|()| Shim::begin(&self.shims, &directory, &namespaces));
        let (shim, mut notices) = match spawned {
            Ok(started) => started,
            Err(error) => {
                remove_run_directory(&directory);
                return Err(error.into());
            }
        };
        if let Err(failure) = self.pass_gate(container, &shim, &mut notices).await {
            let failure = failure.or_reported(&mut notices);
            self.undo_start(container, &shim, &mut notices, &directory).await;
            return Err(failure);
        }
        self.supervisor.supervise(Arc::clone(container), notices);
        self.shims.note_start(network);
        Ok(())
    }

    /// Waits for the gate, wires the network, joins waiting clients, opens the gate.
    async fn pass_gate(
        self: &Arc<Self>,
        container: &Arc<Container>,
        shim: &Arc<Shim>,
        notices: &mut Notices,
    ) -> Result<(), StartFailure> {
        fault::check("before-gate")?;
        let gate = wait_for_gate(notices).await?;
        fault::check("at-gate")?;
        scope::start(&container.record(), &gate.cgroups, gate.init).await?;
        fault::check("scoped")?;
        let interface = self.networking.connect_network(container, gate.network_namespace).await?;
        fault::check("connected")?;
        relays::open(&container.record(), shim).await?;
        fault::check("relayed")?;
        self.networking.name_servers.open(&container.record(), shim).await?;
        fault::check("named")?;
        for (attach, socket) in container.waiting_clients.take() {
            shim.request(Request::Attach(attach), Some(socket.as_fd())).await.map_err(Error::from)?;
        }
        fault::check("clients-joined")?;
        shim.request(Request::Start { interface }, None).await.map_err(Error::from)?;
        let started_at = wait_for_start(notices).await?;
        fault::check("started")?;
        joining::settle(&self.directory, container);
        container.set_shim(Some(Arc::clone(shim)));
        let record = container.publish(|record| {
            record.phase = Phase::Running(gate.init);
            record.started_at = started_at;
            record.exit_code = 0;
            record.failure = None;
            record.out_of_memory = false;
            record.frozen_for_work = false;
            record.log_lines_dropped = 0;
            record.health = health::at_start(record);
            record.cgroups = gate.cgroups;
        });
        self.lookup.volumes.events.emit_mounts(&record);
        self.events.before_a_row().emit_container(&record, EventAction::Start, &[]);
        self.networking.links.refresh_to(&record);
        // With its events, in one step. After a crash of the daemon the next one finds when it was started; a failure is
        // retried.
        let _ = container.save().wait().await;
        Ok(())
    }

    /// Undoes the steps of a failed start, in reverse.
    async fn undo_start(
        &self,
        container: &Arc<Container>,
        shim: &Arc<Shim>,
        notices: &mut Notices,
        directory: &RunDirectory,
    ) {
        container.set_shim(None);
        self.networking.disconnect_network(container).await;
        let gone = async {
            let released = shim.request(Request::Release, None).await;
            if matches!(released, Err(RequestError::Refused(_))) {
                // It runs already: it must end before its shim can be released.
                let _ = shim.request(Request::Signal(Signal::KILL), None).await;
                while let Some(incoming) = notices.recv().await {
                    if matches!(incoming.notice, Notice::Exited(_)) {
                        let _ = shim.request(Request::Release, None).await;
                    }
                }
            } else if released.is_err() {
                shim.kill();
            }
            while notices.recv().await.is_some() {}
        };
        if tokio::time::timeout(TIMEOUT, gone).await.is_err() {
            tracing::error!("the shim of container {} does not end after a failed start", container.id());
            shim.kill();
        }
        // A shim that was killed has removed no cgroup.
        let left = directory.clone();
        crate::cgroup::take_down(left, Vec::new(), None).await;
        remove_run_directory(directory);
    }

    /// Records why a start failed, and publishes it as newer clients need it. A policy's start that
    /// fails counts as an exit: the policy decides again.
    fn record_failed_start(
        self: &Arc<Self>,
        container: &Arc<Container>,
        failure: &StartFailure,
        by_policy: bool,
    ) {
        let now = Timestamp::now();
        let record = container.update(|record| {
            record.phase = Phase::Exited;
            record.exit_code = failure.exit_code;
            record.failure = Some(RecordedFailure::of(&failure.error));
            // One that never ran has no times and stays "Created"; a policy counts its delays from them.
            if by_policy || !record.started_at.is_never() {
                record.started_at = now;
                record.finished_at = now;
            }
            // Kubelets count the delay until the next start from the end, of one that never ran too.
            if record.pod.is_some() {
                record.finished_at = now;
            }
            record.exits += 1;
            record.failed_starts += 1;
            record.clear_endpoints();
            record.cgroups = Vec::new();
            if by_policy && wants_restart(record) {
                record.phase = Phase::Restarting;
            }
        });
        container.waiting_clients.clear();
        // What fails before there is a process to start is no start.
        if matches!(failure.error, Error::System { .. } | Error::Program { .. }) {
            self.events.emit_container(&record, EventAction::Start, &[]);
        }
        self.events.emit_container(&record, EventAction::Die, &[("exitCode", failure.exit_code.to_string())]);
        if record.is_restarting() {
            self.follow_ups.restart(container);
        } else if record.settings.host.auto_remove {
            self.follow_ups.remove(&record.id);
        }
    }

    /// Looks up what the container needs and writes its specification.
    async fn write_specification(
        self: &Arc<Self>,
        record: &Arc<Record>,
        purpose: Purpose,
        directory: &RunDirectory,
    ) -> Result<Written, StartFailure> {
        if record.damaged {
            return Err(Error::refused("its settings could not be read when the engine started").into());
        }
        fault::check("look-up")?;
        let (inputs, held) = self.lookup.gather(record, purpose).await?;
        fault::check("specification")?;
        let mut spec = crate::container::specification::build(record, inputs)?;
        if purpose == Purpose::StepHost {
            crate::container::specification::hold(&mut spec)?;
        }
        let text = serde_json::to_vec(&spec)
            .map_err(|source| Error::refused(format!("cannot write the specification as JSON: {source}")))?;
        let written = {
            let (starter, record, directory) = (Arc::clone(self), Arc::clone(record), directory.clone());
            tokio::task::spawn_blocking(move || starter.write_files(&record, purpose, &directory, &text))
        };
        joined(written.await)??;
        let is_new = spec.namespaces.network == Namespace::Own && spec.user_namespace.is_none();
        let network = if is_new { NewNetwork::Made } else { NewNetwork::None };
        Ok(Written { held, network })
    }
}

/// Waits until init waits at its gate.
async fn wait_for_gate(notices: &mut Notices) -> Result<Gate, StartFailure> {
    loop {
        let incoming = next(notices).await?;
        match incoming.notice {
            Notice::Created { init, cgroups } => {
                return Ok(Gate { init, cgroups, network_namespace: incoming.descriptor });
            }
            notice => check_failure(notice)?,
        }
    }
}

/// Waits until init executes the container's program.
async fn wait_for_start(notices: &mut Notices) -> Result<Timestamp, StartFailure> {
    loop {
        match next(notices).await?.notice {
            Notice::Started { at } => return Ok(at),
            notice => check_failure(notice)?,
        }
    }
}

fn check_failure(notice: Notice) -> Result<(), StartFailure> {
    let Notice::StartFailed { failure, exit_code, .. } = notice else { return Ok(()) };
    Err(StartFailure { error: failure.into(), exit_code })
}

async fn next(notices: &mut Notices) -> Result<Box<Incoming>, StartFailure> {
    match tokio::time::timeout(TIMEOUT, notices.recv()).await {
        Ok(Some(incoming)) => Ok(incoming),
        Ok(None) => Err(Error::ShimGone.into()),
        Err(_) => Err(Error::ShimSilent.into()),
    }
}
