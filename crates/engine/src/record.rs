//! The complete record of one container, as it is stored and as readers see it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use model::{
    ContainerId, ContainerSettings, Digest, Health, MountPoint, NetworkMode, ProcessReference, Timestamp,
};
use shim_protocol::names::NamedEndpoint;

use crate::endpoint::{self, Endpoint};
use crate::pod_role::{PodPart, PodRole};
use crate::recorded_failure::RecordedFailure;

/// Where a container is in its life.
///
/// ```text
/// Created ──start──▶ Starting ──▶ Running ◀──unpause── Paused
///    ▲                  │           │  │ ──pause──────▶  │
///    │               (fails)      (ends)               (killed)
///    │                  ▼           ▼                    │
///    │               Exited ◀───────┴──────▶ Restarting ◀┘ (policy)
///    └── Removing ◀──rm── any
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Made, never run.
    Created,
    /// Between the request and the first instruction of its program.
    Starting,
    /// Its init runs.
    Running(ProcessReference),
    /// Its processes are frozen.
    Paused(ProcessReference),
    /// It ended and its policy will start it again.
    Restarting,
    /// It ended, or could not be started.
    Exited,
    /// It is being removed.
    Removing,
}

impl Phase {
    /// Init's reference while there is one.
    #[must_use]
    pub const fn process(self) -> Option<ProcessReference> {
        match self {
            Self::Running(process) | Self::Paused(process) => Some(process),
            Self::Created | Self::Starting | Self::Restarting | Self::Exited | Self::Removing => None,
        }
    }

    /// Whether its processes exist, frozen or not.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        self.process().is_some()
    }
}

/// One container.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without a slash.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The image it was made of.
    pub image: Digest,
    /// The program.
    pub path: String,
    /// The program's arguments.
    pub arguments: Vec<String>,
    /// Its requested settings, merged with the image's configuration.
    pub settings: ContainerSettings,
    /// Its role in a pod; `None` for containers of Docker's clients.
    pub pod: Option<Arc<PodRole>>,
    /// Where it is in its life.
    pub phase: Phase,
    /// The last exit code; 0 while none.
    pub exit_code: i32,
    /// Why the last start failed, or what ended the container other than its own exit.
    pub failure: Option<RecordedFailure>,
    /// Whether the kernel killed a process of the last run for memory.
    pub out_of_memory: bool,
    /// The last start.
    pub started_at: Timestamp,
    /// The last end.
    pub finished_at: Timestamp,
    /// How often its policy started it again.
    pub restart_count: i64,
    /// How often it ended; waiters compare it.
    pub exits: u64,
    /// How many of these ends were starts that failed, since the daemon started.
    pub failed_starts: u64,
    /// Whether a client ended it, so that `unless-stopped` leaves it alone.
    pub stopped_by_client: bool,
    /// Its mounts.
    pub mounts: Vec<MountPoint>,
    /// The images that are mounted into it, by their places as they were given.
    pub image_mounts: BTreeMap<String, Digest>,
    /// Its places in networks.
    pub endpoints: Vec<Endpoint>,
    /// Containers it is linked to, by alias.
    pub links: BTreeMap<String, ContainerId>,
    /// Directories of its cgroup while it runs.
    pub cgroups: Vec<PathBuf>,
    /// Whether work froze it, such as a commit, that thaws it at its end.
    pub frozen_for_work: bool,
    /// Whether its removal takes its anonymous volumes along.
    pub volumes_go: bool,
    /// Lines that a remote log server did not take.
    pub log_lines_dropped: u64,
    /// The results of its health checks; `None` while it was never started with any.
    pub health: Option<Arc<Health>>,
    /// Whether its settings could not be read when the daemon started: it can be removed, not started.
    pub damaged: bool,
}

impl Record {
    /// The record of a container that was made and never started, with empty settings.
    pub(crate) fn new(id: ContainerId, name: String, image: Digest, created: Timestamp) -> Self {
        Self {
            id,
            name,
            created,
            image,
            path: String::new(),
            arguments: Vec::new(),
            settings: ContainerSettings::default(),
            pod: None,
            phase: Phase::Created,
            exit_code: 0,
            failure: None,
            out_of_memory: false,
            started_at: Timestamp::NEVER,
            finished_at: Timestamp::NEVER,
            restart_count: 0,
            exits: 0,
            failed_starts: 0,
            stopped_by_client: false,
            mounts: Vec::new(),
            image_mounts: BTreeMap::new(),
            endpoints: Vec::new(),
            links: BTreeMap::new(),
            cgroups: Vec::new(),
            frozen_for_work: false,
            volumes_go: false,
            log_lines_dropped: 0,
            health: None,
            damaged: false,
        }
    }

    /// Whether it holds a pod's namespaces, without an image and a program.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.pod.as_ref().is_some_and(|pod| matches!(pod.part, PodPart::Sandbox))
    }

    /// Whether its processes exist, frozen or not.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.phase.is_alive()
    }

    /// Whether it is frozen.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        matches!(self.phase, Phase::Paused(_))
    }

    /// Whether its policy will start it again.
    #[must_use]
    pub const fn is_restarting(&self) -> bool {
        matches!(self.phase, Phase::Restarting)
    }

    /// Whether a client froze it, and not work that thaws it by itself.
    #[must_use]
    pub const fn is_paused_by_client(&self) -> bool {
        self.is_paused() && !self.frozen_for_work
    }

    /// The host's number of its init; 0 when it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.phase.process().map_or(0, |process| process.pid)
    }

    /// Whether it ever ran, or a start of it failed.
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.exits > 0 || self.has_run()
    }

    /// Whether the container was neither started, stopped nor ended since this record.
    #[must_use]
    pub fn stands_as(&self, later: &Self) -> bool {
        (self.phase, self.exits, self.stopped_by_client)
            == (later.phase, later.exits, later.stopped_by_client)
    }

    /// Whether its program ever ran.
    #[must_use]
    pub fn has_run(&self) -> bool {
        !self.started_at.is_never()
    }

    /// Whether it has a network namespace of its own.
    #[must_use]
    pub fn has_own_network(&self) -> bool {
        match self.settings.host.network_mode {
            NetworkMode::None | NetworkMode::Networks(_) => true,
            NetworkMode::Host | NetworkMode::Container(_) => false,
        }
    }

    /// Its lease in the default network while it runs there.
    #[must_use]
    pub fn bridge_lease(&self) -> Option<&network::Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.is_bridge())?.lease.as_ref()
    }

    /// Its place in the network that gives the default route; in an internal one where there is no other.
    #[must_use]
    pub fn main_endpoint(&self) -> Option<&Endpoint> {
        let running = self.endpoints.iter().filter(|endpoint| endpoint.lease.is_some());
        self.gateway().or_else(|| running.min_by_key(|endpoint| endpoint.gateway_order()))
    }

    /// Whether ports of the host lead to it.
    pub(crate) fn has_published_ports(&self) -> bool {
        let leases = self.endpoints.iter().filter_map(|endpoint| endpoint.lease.as_ref());
        leases.flat_map(|lease| &lease.ports).next().is_some()
    }

    /// Its lease in that network.
    #[must_use]
    pub fn main_lease(&self) -> Option<&network::Endpoint> {
        self.main_endpoint()?.lease.as_ref()
    }

    /// Its place in the network that gives the default route.
    #[must_use]
    pub fn gateway(&self) -> Option<&Endpoint> {
        endpoint::gateway(&self.endpoints)
    }

    /// Whether it is in a network where containers find each other by names, or will be when it runs.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.endpoints.iter().any(Endpoint::has_names)
    }

    /// Whether its links are names and nothing else: it is in networks with names, and not in the default one.
    pub(crate) fn links_are_names(&self) -> bool {
        self.has_names() && !self.endpoints.iter().any(Endpoint::is_bridge)
    }

    /// The names by which others in a network find it, its own first: aliases, short id, host name.
    #[must_use]
    pub fn names_in<'r>(&'r self, endpoint: &'r Endpoint) -> Vec<&'r str> {
        let mut names = vec![self.name.as_str()];
        names.extend(endpoint.attachment.aliases.iter().flatten().map(String::as_str));
        names.push(self.id.short());
        names.push(&self.settings.hostname);
        let mut seen = BTreeSet::new();
        names.retain(|name| !name.is_empty() && seen.insert(*name));
        names
    }

    /// The names and addresses under which others in a network find it while it has an address there.
    pub(crate) fn named_in(&self, endpoint: &Endpoint) -> Option<NamedEndpoint> {
        let lease = endpoint.lease.as_ref()?;
        let others = self.names_in(endpoint).into_iter().skip(1).map(str::to_owned);
        Some(NamedEndpoint {
            name: self.name.clone(),
            other_names: others.collect(),
            addresses: lease.addresses().collect(),
        })
    }

    /// Its addresses, that of the network with the default route first.
    pub(crate) fn own_addresses(&self) -> Vec<std::net::IpAddr> {
        let mut endpoints: Vec<_> = self.endpoints.iter().collect();
        endpoints.sort_by_key(|endpoint| endpoint.gateway_order());
        let leases = endpoints.into_iter().filter_map(|endpoint| endpoint.lease.as_ref());
        leases.flat_map(network::Endpoint::addresses).collect()
    }

    /// It has left all its networks.
    pub(crate) fn clear_endpoints(&mut self) {
        self.endpoints.iter_mut().for_each(Endpoint::clear);
    }
}
