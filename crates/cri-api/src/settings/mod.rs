//! From configurations of pods and containers to the engine's settings: everything is checked here, and what cannot be
//! done is refused by its name.

mod cgroup_parent;
mod container;
mod mounts;
mod network;
mod oom_score;
mod refusal;
mod resources;
mod sandbox;
mod security;
mod user_namespace;

pub(crate) use container::of_container;
pub(crate) use network::of_pod as of_pod_network;
pub(crate) use resources::of_resources;
pub(crate) use sandbox::{Sandbox, of_sandbox};
pub(crate) use security::Pod;
