//! The engine: containers, execs, volumes, events and their saved state.
//!
//! [`Engine`] is the only entry point: it holds the services, of which each holds exactly those below it that
//! it uses. Verbs find their container by its id, a prefix of it, or its name, run to their end even when the
//! client leaves, and fail with an [`Error`] whose text is what clients show. Readers take [`Record`]s, which
//! are complete and never wait.

mod builds;
#[cfg(test)]
mod busy_threads;
mod cdi;
mod cgroup;
mod clients;
pub mod container;
mod directory;
mod disposal;
mod endpoint;
mod engine;
mod error;
mod events;
pub mod exec;
mod exec_environment;
mod fault;
mod files;
mod image;
mod layer_size;
mod log_options;
mod logs;
mod names;
mod network_namespace;
mod networking;
mod networks;
mod old_settings;
mod options;
mod outcome;
mod paths;
pub mod pattern;
mod pod_role;
mod pods;
mod random;
mod readiness;
mod realm;
mod record;
mod recorded_failure;
mod roots;
mod shim;
mod size_limit;
mod spare_directories;
mod startup;
mod step_changes;
mod step_error;
mod step_hosts;
mod step_output;
mod store;
mod streams;
mod usage;
mod volumes;
mod warnings;

pub use builds::{Builds, CredentialSource};
pub use cdi::{default_directories as default_cdi_directories, discovered as discovered_devices};
pub use container::containers::Containers;
pub use container::create::{Created, NewContainer};
pub use container::execs::Exec;
pub use container::prune::PrunedContainers;
pub use container::remove::Removal;
pub use container::samples::{HostProcessors, Reading, STATISTICS_FORMS, Sample, Samples};
pub use container::saved_exec::{ExecConfig, ExecState};
pub use container::statistics::StatisticsStream;
pub use container::stop::StopOptions;
pub use container::top::ProcessList;
pub use container::update::ContainerUpdate;
pub use container::wait::{Wait, WaitCondition, WaitOutcome};
pub use container::{Container, Phase, Purpose, Record};
pub use endpoint::Endpoint;
pub use engine::Engine;
pub use error::Error;
pub use events::{EVENT_FORMS, Events, Live, PublishedEvent, Subscription};
pub use exec::{ExecClient, ExecSession, ExecStartOptions, Execs};
pub use files::{ArchiveSession, Commit, ExportSession, FileOwner, Files};
pub use image::Images;
pub use log_drivers::Refusal as LogRefusal;
pub use logs::{LogForm, LogQuery, LogStream, Logs};
pub use networks::definition::pool_faults;
pub use networks::record::NetworkRecord;
pub use networks::service::{CreatedNetwork, NetworkFilter, Networks};
pub use networks::subnets::{AddressPools, unique_local_network};
pub use options::{CgroupDriver, Options, PodNetworkDirectories};
pub use outcome::Outcome;
pub use pod_role::{PodPart, PodRole};
pub use pods::{
    CommandEnd, CommandOutput, EventsMissed, NewSandbox, OpenCommand, OpenFiles, PodChange, PodEvent,
    PodEvents, PodNetwork, PodStreams, Pods, has_user_namespaces,
};
pub use recorded_failure::RecordedFailure;
pub use shim_protocol::log::Stream as OutputStream;
pub use streams::{AttachRequest, AttachSession, Frames, Streams};
pub use usage::{Usage, VolumeUsage};
pub use volumes::{ANONYMOUS_LABEL, NewVolume, PrunedVolumes, Volume, Volumes};
pub use warnings::Limits;

pub use builder;
pub use images;
pub use network;
pub use sys;
pub use systemd;
