//! Containers that host the steps of a build: each runs one step after the other in a root and namespaces of the step's own, and
//! lends them its network and its cgroups, which take longer to make than a short step runs.
//!
//! ```text
//! step ──▶ an idle host with its settings, or a new one ──▶ runs ──▶ idle, when the host is as new
//!   ▲                                                  │      └──▶ worn: removed
//!   └── the host was taken down, and is worn ──────────┘
//! no more steps ──▶ all are removed
//! ```
//!
//! A host is an ordinary container to everything else: its row, its shim and its cgroups outlive no daemon that was killed.
//! It has the id of its first step, which the build has noted by then.

mod host;
mod remains;
mod traffic;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use builder::{OutputStream, RunStep, StepError, StepKind};
use images::registry::Cancellation;
use model::{ContainerId, HostSettings, NetworkMode};

pub(crate) use self::host::StepServices;
use self::host::{HostedStep, Order, StepHost};
pub(crate) use self::remains::Remains;
use crate::container::create::NewContainer;
use crate::disposal::delete_tree;
use crate::error::Error;
use crate::options::Options;
use crate::step_error::failed;

/// The hosts of one build.
pub(crate) struct StepHosts {
    services: StepServices,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<StepHost>,
    /// Those that no other step may get.
    worn: Vec<StepHost>,
    steps: HashMap<ContainerId, StepState>,
}

/// The state of a step.
enum StepState {
    /// It has a host.
    Hosted(Arc<HostedStep>),
    /// It is over, and its changes were here.
    Over(PathBuf),
}

impl StepHosts {
    pub(crate) fn new(services: StepServices) -> Self {
        Self { services, state: Mutex::default() }
    }

    /// Whether a step can share what others use: nothing of the host's is its own, and it has no right to change what is shared. A
    /// host's init has nothing to stand on where the layer below all others cannot be made.
    pub(crate) fn can_host(&self, step: &RunStep, options: &Options) -> bool {
        let asked = &step.host;
        let harmless = HostSettings {
            resources: asked.resources.clone(),
            shm_size: asked.shm_size,
            cgroup_parent: asked.cgroup_parent.clone(),
            network_mode: asked.network_mode.clone(),
            extra_hosts: asked.extra_hosts.clone(),
            ..HostSettings::default()
        };
        step.kind == StepKind::Sandbox
            && *asked == harmless
            // Processes of others in a shared network can hold files of a step open behind its end.
            && matches!(asked.network_mode, NetworkMode::None | NetworkMode::Networks(_))
            && options.user_mapping.is_none()
            && self.services.containers.starter.lookup.base_layer.is_there()
    }

    /// Gives a step a host and prepares it.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    pub(crate) fn create(&self, step: &RunStep, new: NewContainer) -> Result<(), StepError> {
        let idle = self.take_idle(&step.host);
        self.place(Order { step: step.clone(), new }, idle)
    }

    /// Prepares a step in an idle host, or else in a new one.
    fn place(&self, order: Order, idle: Option<StepHost>) -> Result<(), StepError> {
        if let Some(host) = idle {
            match host.prepare(&self.services, &order) {
                Ok(Some(prepared)) => {
                    self.keep(HostedStep { host, prepared, order });
                    return Ok(());
                }
                Ok(None) => self.state().worn.push(host),
                Err(error) => {
                    self.state().worn.push(host);
                    return Err(error);
                }
            }
        }
        let host = StepHost::start(&self.services, &order)?;
        let failure = match host.prepare(&self.services, &order) {
            Ok(Some(prepared)) => {
                self.keep(HostedStep { host, prepared, order });
                return Ok(());
            }
            Ok(None) => taken_down(&host),
            Err(error) => error,
        };
        self.state().worn.push(host);
        Err(failure)
    }

    /// Notes a step that is about to run. The host that it had before is worn: it could not run it.
    fn keep(&self, hosted: HostedStep) {
        let mut state = self.state();
        let before = state.steps.insert(hosted.order.step.id.clone(), StepState::Hosted(Arc::new(hosted)));
        if let Some(StepState::Hosted(before)) = before {
            state.worn.extend(Arc::into_inner(before).map(|before| before.host));
        }
    }

    /// Runs a step; `None` when it is no step of these hosts.
    pub(crate) fn run(
        &self,
        step: &ContainerId,
        output: &mut dyn FnMut(OutputStream, &[u8]),
        cancellation: &Cancellation,
    ) -> Option<Result<i64, StepError>> {
        loop {
            let hosted = self.hosted(step)?;
            match hosted.run(&self.services, output, cancellation) {
                Ok(Some(code)) => return Some(Ok(code)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
            // The new host would have its id.
            if hosted.host.id() == step {
                return Some(Err(taken_down(&hosted.host)));
            }
            let order = hosted.order.clone();
            drop(hosted);
            if let Err(error) = self.place(order, None) {
                return Some(Err(error));
            }
        }
    }

    /// Takes the changes of a finished step, and passes its host to the next one; `None` when it is no step of these hosts.
    pub(crate) fn changes(&self, step: &ContainerId) -> Option<Result<PathBuf, StepError>> {
        let hosted = self.hosted(step)?;
        let changes = match hosted.take_changes(&self.services) {
            Ok(changes) => changes,
            Err(error) => return Some(Err(error)),
        };
        // A worn one is removed with the step, and not only when another step finds it so.
        let is_unused = hosted.host.is_unused();
        drop(hosted);
        let mut state = self.state();
        let taken = state.steps.insert(step.clone(), StepState::Over(changes.clone()));
        if let Some(StepState::Hosted(hosted)) = taken
            && let Some(HostedStep { host, .. }) = Arc::into_inner(hosted)
        {
            let hosts = if is_unused { &mut state.idle } else { &mut state.worn };
            hosts.push(host);
        }
        Some(Ok(changes))
    }

    /// Removes what a step has left; `None` when it is no step of these hosts.
    pub(crate) fn remove(&self, step: &ContainerId) -> Option<Result<(), StepError>> {
        let left = self.state().steps.remove(step)?;
        let mut removed = self.remove_worn();
        match left {
            // It failed, or was cancelled.
            StepState::Hosted(hosted) => {
                if let Some(HostedStep { host, .. }) = Arc::into_inner(hosted) {
                    removed = removed.and(host.remove(&self.services));
                }
            }
            // What the image store has not taken.
            StepState::Over(changes) if changes.exists() => delete_tree(&changes),
            StepState::Over(_) => {}
        }
        Some(removed)
    }

    /// Removes all hosts: no step comes any more.
    pub(crate) fn finish(&self) {
        let hosts = self.take_all();
        self.state().worn = hosts;
        if let Err(error) = self.remove_worn() {
            // The build has continued: the container stays in the list and can be removed by hand.
            tracing::warn!("cannot remove a container that hosted steps of a build: {error}");
        }
    }

    /// Removes all hosts behind this call, which hides them, and then calls `end`.
    pub(crate) fn finish_behind(&self, end: Box<dyn FnOnce() + Send>) {
        let hosts = self.take_all().into_iter().map(StepHost::into_container).collect();
        let StepServices { containers, runtime, remains, .. } = &self.services;
        remains.remove(hosts, &containers.remover, runtime, end);
    }

    fn take_all(&self) -> Vec<StepHost> {
        let State { idle, worn, steps } = std::mem::take(&mut *self.state());
        let mut all = [idle, worn].into_iter().flatten().collect::<Vec<_>>();
        // Of a stage that was given up in the middle of a step.
        for left in steps.into_values() {
            if let StepState::Hosted(hosted) = left {
                all.extend(Arc::into_inner(hosted).map(|hosted| hosted.host));
            }
        }
        all
    }

    fn remove_worn(&self) -> Result<(), StepError> {
        let worn = std::mem::take(&mut self.state().worn);
        let mut removed = Ok(());
        // All of them, also behind one that cannot be removed.
        for host in worn {
            removed = removed.and(host.remove(&self.services));
        }
        removed
    }

    /// An idle host with these settings that was not taken down meanwhile.
    fn take_idle(&self, settings: &HostSettings) -> Option<StepHost> {
        let mut state = self.state();
        while let Some(place) = state.idle.iter().position(|host| host.fits(settings)) {
            let mut host = state.idle.swap_remove(place);
            if host.is_as_new() {
                return Some(host);
            }
            state.worn.push(host);
        }
        None
    }

    fn hosted(&self, step: &ContainerId) -> Option<Arc<HostedStep>> {
        match self.state().steps.get(step)? {
            StepState::Hosted(hosted) => Some(Arc::clone(hosted)),
            StepState::Over(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failure of a step whose host was taken down just now.
fn taken_down(host: &StepHost) -> StepError {
    failed(Error::NotRunning(host.id().to_string()))
}
