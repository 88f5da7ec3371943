//! Volumes: directories that outlive containers, made whole or not at all, shared and removed.

mod claim;
mod create;
mod driver;
mod events;
mod held;
mod leaving;
mod local;
mod mounting;
mod plan;
mod prune;
mod remove;
mod service;
mod volume;

pub(crate) use claim::show_saved;
pub use create::NewVolume;
pub(crate) use events::VolumeEvents;
pub(crate) use held::{HeldMounts, HeldVolume};
pub(crate) use mounting::VolumeMounts;
pub use prune::PrunedVolumes;
pub use service::Volumes;
pub(crate) use service::{Drivers, Known};
pub use volume::{ANONYMOUS_LABEL, Volume};
