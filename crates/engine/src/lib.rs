//! The engine: containers, execs, volumes, events and their saved state.
//!
//! [`Engine`] is the only way in. Its verbs find their container by whatever a client calls it,
//! run to their end even when the client leaves, and fail with an [`Error`] whose text is what
//! clients show. Readers take [`Record`]s, which are complete and never wait.

mod build;
mod cgroup;
mod cgroup_moves;
mod clients;
pub mod container;
mod database;
mod directory;
mod disposal;
mod engine;
mod error;
mod events;
pub mod exec;
mod fault;
mod files;
mod half_start;
mod log_options;
mod logs;
mod mount_points;
mod names;
mod options;
mod outcome;
mod random;
mod reconcile;
mod record;
mod registry;
mod roots;
mod shim;
mod start_order;
mod volumes;
mod warnings;

pub use container::attach::{AttachRequest, AttachSession};
pub use container::changes::Commit;
pub use container::create::{Created, NewContainer};
pub use container::remove::Removal;
pub use container::samples::{HostProcessors, Sample, Samples};
pub use container::statistics::StatisticsStream;
pub use container::top::ProcessList;
pub use container::{Container, Phase, Record};
pub use engine::Engine;
pub use error::Error;
pub use events::{Events, PublishedEvent, Subscription};
pub use exec::{Exec, ExecClient, ExecConfig, ExecSession, ExecState};
pub use files::{ArchiveSession, ExportSession};
pub use logs::{LogQuery, LogStream};
pub use options::Options;
pub use outcome::Outcome;
pub use warnings::Limits;

pub use builder;
pub use images;
pub use network;
pub use sys;
