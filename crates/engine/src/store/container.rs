//! A container's row: its record as columns, and again a record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use model::{
    Attachment, ContainerId, ContainerSettings, Digest, EndpointId, Health, NetworkId, ProcessReference,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::failure;
use super::json::json;
use super::mount::MountDocument;
use crate::endpoint::{self, Endpoint};
use crate::pod_role::PodRole;
use crate::record::{Phase, Record};
use crate::recorded_failure::RecordedFailure;

/// The columns of the table `containers`.
pub(super) struct ContainerColumns {
    pub(super) id: String,
    pub(super) name: String,
    /// [`SettingsDocument`] as JSON.
    pub(super) settings: String,
    /// [`StateDocument`] as JSON.
    pub(super) state: String,
    /// [`PodRole`] as JSON; `None` for containers of Docker's clients.
    pub(super) pod: Option<String>,
}

/// The settings of a container.
#[derive(Serialize, Deserialize)]
struct SettingsDocument<'r> {
    created: Timestamp,
    image: Digest,
    path: Cow<'r, str>,
    arguments: Cow<'r, [String]>,
    settings: Cow<'r, ContainerSettings>,
}

/// The state of a container.
#[derive(Serialize, Deserialize)]
struct StateDocument {
    phase: PhaseDocument,
    exit_code: i32,
    /// The cause of [`Record::failure`].
    error: String,
    /// `None` where a release of version 3 saved the failure: it follows from the text.
    error_origin: Option<failure::Origin>,
    out_of_memory: bool,
    started_at: Timestamp,
    finished_at: Timestamp,
    restart_count: i64,
    exits: u64,
    stopped_by_client: bool,
    mounts: Vec<MountDocument>,
    image_mounts: BTreeMap<String, Digest>,
    /// `None` in rows of versions in which there was one network: then the settings determine it.
    endpoints: Option<Vec<EndpointDocument>>,
    links: BTreeMap<String, ContainerId>,
    cgroups: Vec<PathBuf>,
    frozen_for_work: bool,
    volumes_go: bool,
    log_lines_dropped: u64,
    health: Option<Health>,
    damaged: bool,
}

/// Where a container is in its life.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PhaseDocument {
    Created,
    Starting,
    Running(ProcessDocument),
    Paused(ProcessDocument),
    Restarting,
    Exited,
    Removing,
}

/// A container's init.
#[derive(Serialize, Deserialize)]
struct ProcessDocument {
    pid: u32,
    start_time: u64,
}

/// A container's place in a network.
#[derive(Serialize, Deserialize)]
struct EndpointDocument {
    attachment: Attachment,
    network: Option<NetworkId>,
    name: String,
    internal: bool,
    id: Option<EndpointId>,
    lease: Option<LeaseDocument>,
}

/// A container's lease in a network.
#[derive(Serialize, Deserialize)]
struct LeaseDocument {
    /// `None` on a network of IPv6 alone.
    #[serde(flatten)]
    ipv4: Option<network::AddressLease<Ipv4Addr>>,
    ipv6: Option<network::AddressLease<Ipv6Addr>>,
    mac: network::MacAddress,
    interface_name: String,
    link: String,
    ports: Vec<network::port::PublishedPort>,
    openings: Vec<network::LinkException>,
    relays_loopback: bool,
}

impl ContainerColumns {
    /// The columns of a record.
    pub(super) fn of(record: &Record) -> rusqlite::Result<Self> {
        Ok(Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            settings: json(&SettingsDocument::of(record))?,
            state: json(&StateDocument::of(record))?,
            pod: record.pod.as_deref().map(json).transpose()?,
        })
    }

    /// The record of a row; where the row cannot be read, one that stands for it, and why.
    ///
    /// # Errors
    /// When even the id cannot be read.
    pub(super) fn record(&self) -> Result<(Record, Option<String>), model::IdError> {
        let mut record = placeholder(ContainerId::parse(&self.id)?, &self.name);
        let mut damage = Vec::new();
        match serde_json::from_str::<SettingsDocument<'_>>(&self.settings) {
            Ok(settings) => settings.put_into(&mut record),
            Err(error) => {
                damage.push(format!("its settings cannot be read: {error}"));
                record.damaged = true;
            }
        }
        match serde_json::from_str::<StateDocument>(&self.state) {
            Ok(state) => state.put_into(&mut record),
            Err(error) => damage.push(format!("its state cannot be read: {error}")),
        }
        if let Some(text) = &self.pod {
            let role = serde_json::from_str(text).unwrap_or_else(|error| {
                damage.push(format!("its place in a pod cannot be read: {error}"));
                record.damaged = true;
                PodRole::unreadable()
            });
            record.pod = Some(Arc::new(role));
        }
        if damage.is_empty() {
            return Ok((record, None));
        }
        let damage = damage.join("; ");
        record.failure = Some(RecordedFailure::Other(damage.clone()));
        Ok((record, Some(damage)))
    }
}

/// A container whose row is lost: it can be removed, and ended if it runs, but not started.
pub(crate) fn lost_container(id: ContainerId, name: &str, created: Timestamp) -> Record {
    let failure = RecordedFailure::Other("its row was lost with the engine's database".to_owned());
    Record { created, failure: Some(failure), damaged: true, ..placeholder(id, name) }
}

/// A container without a readable record: it has ended, and can be removed.
fn placeholder(id: ContainerId, name: &str) -> Record {
    let name = if name.is_empty() { id.short().to_owned() } else { name.to_owned() };
    let created = Timestamp::from_unix(0, 0).unwrap_or(Timestamp::NEVER);
    Record { phase: Phase::Exited, ..Record::new(id, name, Digest::from_bytes([0; 32]), created) }
}

impl<'r> SettingsDocument<'r> {
    fn of(record: &'r Record) -> Self {
        Self {
            created: record.created,
            image: record.image,
            path: Cow::Borrowed(&record.path),
            arguments: Cow::Borrowed(&record.arguments),
            settings: Cow::Borrowed(&record.settings),
        }
    }

    fn put_into(self, record: &mut Record) {
        let Self { created, image, path, arguments, settings } = self;
        (record.created, record.image) = (created, image);
        (record.path, record.arguments) = (path.into_owned(), arguments.into_owned());
        record.settings = settings.into_owned();
    }
}

impl StateDocument {
    fn of(record: &Record) -> Self {
        Self {
            phase: PhaseDocument::of(record.phase),
            exit_code: record.exit_code,
            error: record.failure.as_ref().map(|failure| failure.cause().to_owned()).unwrap_or_default(),
            error_origin: record.failure.as_ref().map(failure::Origin::of),
            out_of_memory: record.out_of_memory,
            started_at: record.started_at,
            finished_at: record.finished_at,
            restart_count: record.restart_count,
            exits: record.exits,
            stopped_by_client: record.stopped_by_client,
            mounts: record.mounts.iter().map(MountDocument::of).collect(),
            image_mounts: record.image_mounts.clone(),
            endpoints: Some(record.endpoints.iter().map(EndpointDocument::of).collect()),
            links: record.links.clone(),
            cgroups: record.cgroups.clone(),
            frozen_for_work: record.frozen_for_work,
            volumes_go: record.volumes_go,
            log_lines_dropped: record.log_lines_dropped,
            health: record.health.as_deref().cloned(),
            damaged: record.damaged,
        }
    }

    fn put_into(self, record: &mut Record) {
        record.phase = self.phase.phase();
        record.exit_code = self.exit_code;
        record.failure = failure::read(self.error, self.error_origin);
        record.out_of_memory = self.out_of_memory;
        record.started_at = self.started_at;
        record.finished_at = self.finished_at;
        record.restart_count = self.restart_count;
        record.exits = self.exits;
        record.stopped_by_client = self.stopped_by_client;
        record.mounts = self.mounts.into_iter().map(MountDocument::mount).collect();
        record.image_mounts = self.image_mounts;
        record.endpoints = match self.endpoints {
            Some(endpoints) => endpoints.into_iter().map(|endpoint| endpoint.endpoint(&record.id)).collect(),
            None => endpoint::of_settings(&record.settings),
        };
        record.links = self.links;
        record.cgroups = self.cgroups;
        record.frozen_for_work = self.frozen_for_work;
        record.volumes_go = self.volumes_go;
        record.log_lines_dropped = self.log_lines_dropped;
        record.health = self.health.map(Arc::new);
        record.damaged |= self.damaged;
    }
}

impl PhaseDocument {
    const fn of(phase: Phase) -> Self {
        match phase {
            Phase::Created => Self::Created,
            Phase::Starting => Self::Starting,
            Phase::Running(init) => Self::Running(ProcessDocument::of(init)),
            Phase::Paused(init) => Self::Paused(ProcessDocument::of(init)),
            Phase::Restarting => Self::Restarting,
            Phase::Exited => Self::Exited,
            Phase::Removing => Self::Removing,
        }
    }

    const fn phase(self) -> Phase {
        match self {
            Self::Created => Phase::Created,
            Self::Starting => Phase::Starting,
            Self::Running(init) => Phase::Running(init.process()),
            Self::Paused(init) => Phase::Paused(init.process()),
            Self::Restarting => Phase::Restarting,
            Self::Exited => Phase::Exited,
            Self::Removing => Phase::Removing,
        }
    }
}

impl ProcessDocument {
    const fn of(process: ProcessReference) -> Self {
        Self { pid: process.pid, start_time: process.start_time }
    }

    const fn process(self) -> ProcessReference {
        ProcessReference { pid: self.pid, start_time: self.start_time }
    }
}

impl EndpointDocument {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            attachment: endpoint.attachment.clone(),
            network: endpoint.network.clone(),
            name: endpoint.name.clone(),
            internal: endpoint.internal,
            id: endpoint.id.clone(),
            lease: endpoint.lease.as_ref().map(LeaseDocument::of),
        }
    }

    fn endpoint(self, container: &ContainerId) -> Endpoint {
        let internal = self.internal;
        Endpoint {
            attachment: self.attachment,
            network: self.network,
            name: self.name,
            internal,
            id: self.id,
            lease: self.lease.map(|lease| lease.lease(container.clone(), internal)),
        }
    }
}

impl LeaseDocument {
    fn of(endpoint: &network::Endpoint) -> Self {
        Self {
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
            mac: endpoint.mac,
            interface_name: endpoint.interface_name.clone(),
            link: endpoint.host_interface.clone(),
            ports: endpoint.ports.clone(),
            relays_loopback: endpoint.relays_loopback,
            openings: endpoint.exceptions.clone(),
        }
    }

    fn lease(self, container: ContainerId, internal: bool) -> network::Endpoint {
        network::Endpoint {
            container,
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            internal,
            mac: self.mac,
            interface_name: self.interface_name,
            // It follows from the settings, see `networking::saved_endpoint`.
            source_check: network::SourceCheck::default(),
            host_interface: self.link,
            ports: self.ports,
            relays_loopback: self.relays_loopback,
            // They follow from the network.
            trusted_interfaces: Vec::new(),
            exceptions: self.openings,
        }
    }
}
