//! Volumes: directories that outlive containers, made whole or not at all, shared and removed.

mod claim;
mod create;
mod driver;
mod events;
mod leaving;
mod local;
mod plan;
mod prune;
mod remove;
mod service;
mod volume;

pub use create::NewVolume;
pub(crate) use events::VolumeEvents;
pub use prune::PrunedVolumes;
pub use service::Volumes;
pub(crate) use service::{Known, drivers};
pub use volume::{ANONYMOUS_LABEL, Volume};
