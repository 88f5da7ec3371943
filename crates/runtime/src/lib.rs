//! From a container's specification to its processes: namespaces, cgroups, mounts, privileges.
//!
//! Synchronous, for a caller with a single thread (the shim). [`create`] clones init into new
//! namespaces, [`Created::start`] lets it execute the program, [`Running`] is what follows.

mod capabilities;
mod cgroup;
mod channel;
mod child;
mod container;
mod counters;
mod error;
mod host;
mod interface;
mod label;
mod namespaces;
mod process;
mod reaper;
mod root;
mod seccomp;
mod sysctl;
mod tiny_init;

pub use cgroup::Cgroup;
pub use cgroup::hierarchy::Hierarchies;
pub use cgroup::memory_notice::OutOfMemoryNotice;
pub use container::{Created, Exec, ExecRequest, Given, Probe, Running, create};
pub use error::{CgroupError, FailureKind, StartError};
pub use host::Host;
pub use process::{Process, ProcessExit, Stdio};
