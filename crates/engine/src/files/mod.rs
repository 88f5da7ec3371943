//! Files of containers from outside: archives of any path, export, changes, commit.

mod archive;
mod arrival;
mod base_layer;
mod changes;
mod export;
mod hold;
mod mount_points;
mod service;
mod view;

pub use archive::{ArchiveSession, FileOwner};
pub(crate) use base_layer::BaseLayer;
pub use changes::Commit;
pub use export::ExportSession;
pub(crate) use mount_points::{mount_points, prune};
pub use service::Files;
