//! Containers that host the steps of a build: each runs one step after the other in a root and namespaces of the step's own, and
//! lends them its network and its cgroups, which take longer to make than a short step runs.
//!
//! ```text
//! step ──▶ an idle host with its settings, or a new one ──▶ runs ──▶ idle, when the host is as new
//!                                                             └──▶ worn: removed
//! no more steps ──▶ all are removed
//! ```
//!
//! A host is an ordinary container to everything else: its row, its shim and its cgroups outlive no daemon that was killed.
//! It has the id of its first step, which the build has noted by then.

mod host;
mod traffic;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use builder::{OutputStream, RunStep, StepError, StepKind};
use images::registry::Cancellation;
use model::{ContainerId, HostSettings, NetworkMode};

pub(crate) use self::host::StepServices;
use self::host::{HostedStep, StepHost};
use crate::container::create::NewContainer;
use crate::disposal::delete_tree;
use crate::options::Options;

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

/// What a step has.
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

    /// Whether a step can share what others use: nothing of the host's is its own, and it has no right to change what is shared.
    pub(crate) fn can_host(step: &RunStep, options: &Options) -> bool {
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
            // Whoever else is in a network that is not its own can hold files of a step open behind its end.
            && matches!(asked.network_mode, NetworkMode::None | NetworkMode::Networks(_))
            && options.user_mapping.is_none()
    }

    /// Gives a step a host and prepares it.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    pub(crate) fn create(&self, step: &RunStep, new: NewContainer) -> Result<(), StepError> {
        let host = match self.take_idle(&step.host) {
            Some(host) => host,
            None => StepHost::start(&self.services, step, &new)?,
        };
        match host.prepare(&self.services, step, new) {
            Ok(hosted) => {
                self.state().steps.insert(step.id.clone(), StepState::Hosted(Arc::new(hosted)));
                Ok(())
            }
            Err(failure) => {
                let (error, host) = *failure;
                self.state().worn.push(host);
                Err(error)
            }
        }
    }

    /// Runs a step; `None` when it is no step of these hosts.
    pub(crate) fn run(
        &self,
        step: &ContainerId,
        output: &mut dyn FnMut(OutputStream, &[u8]),
        cancellation: &Cancellation,
    ) -> Option<Result<i64, StepError>> {
        let hosted = self.hosted(step)?;
        Some(hosted.run(&self.services, output, cancellation))
    }

    /// Takes the changes of a step that is over, and gives its host to the next one; `None` when it is no step of these hosts.
    pub(crate) fn changes(&self, step: &ContainerId) -> Option<Result<PathBuf, StepError>> {
        let hosted = self.hosted(step)?;
        let changes = match hosted.take_changes(&self.services) {
            Ok(changes) => changes,
            Err(error) => return Some(Err(error)),
        };
        drop(hosted);
        let mut state = self.state();
        let taken = state.steps.insert(step.clone(), StepState::Over(changes.clone()));
        if let Some(StepState::Hosted(hosted)) = taken
            && let Some(HostedStep { host, .. }) = Arc::into_inner(hosted)
        {
            state.idle.push(host);
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
        let mut state = self.state();
        let State { idle, worn, steps } = &mut *state;
        worn.append(idle);
        // Of a stage that was given up in the middle of a step.
        for (_, left) in steps.drain() {
            if let StepState::Hosted(hosted) = left {
                worn.extend(Arc::into_inner(hosted).map(|hosted| hosted.host));
            }
        }
        drop(state);
        if let Err(error) = self.remove_worn() {
            // The build has gone on: the container stays in the list and can be removed by hand.
            tracing::warn!("cannot remove a container that hosted steps of a build: {error}");
        }
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

    /// An idle host with these settings that nobody has taken down meanwhile.
    fn take_idle(&self, settings: &HostSettings) -> Option<StepHost> {
        let mut state = self.state();
        while let Some(place) = state.idle.iter().position(|host| host.fits(settings)) {
            let host = state.idle.swap_remove(place);
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
