//! Pods of Kubernetes: a sandbox that holds their namespaces, and the containers in it.
//!
//! Both are containers of the engine in a realm of their own: shims hold them, they survive the daemon, and no client of
//! Docker's API sees them.

mod command;
mod connect;
mod events;
mod find;
mod networks;
mod processes;
mod service;
mod settle;
mod unfinished;
mod user_namespaces;

pub use command::{CommandEnd, CommandOutput};
pub use connect::{OpenCommand, PodStreams};
pub use events::{EventsMissed, PodChange, PodEvent, PodEvents};
pub use networks::PodNetwork;
pub(crate) use networks::PodNetworks;
pub use processes::OpenFiles;
pub use service::{NewSandbox, Pods};
pub(crate) use settle::settle;
pub use user_namespaces::has_user_namespaces;
