//! Files of containers by their paths: their status, packed as a tar, unpacked from a tar.
//!
//! A [`View`] is a container's file system: of a running one through its init's root, of any other
//! through mounts that only this view has. All paths are resolved by the kernel with the view's
//! root as theirs, so neither symlinks nor `..`, nor a process that swaps them meanwhile, leads out.

mod account;
mod error;
mod get;
mod put;
mod resolve;
mod stat;
mod view;

pub use account::ownership_of;
pub use error::PathError;
pub use get::{Fetched, fetch, fetch_target, target};
pub use put::{Placement, put};
pub use stat::{FileKind, PathStat, stat};
pub use view::{BindView, Purpose, View, ViewRequest, ViewSource};
