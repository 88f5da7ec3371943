//! Networks: what they are, their endpoints, and how they are made and removed.
//!
//! ```text
//! service (create, remove, prune) · connections (connect, disconnect of containers)
//!    ▼
//! registry: networks by id and name  ▷  entry: one network, its users, its driver's part, the names in it
//! record: what a network is   families: its addresses as clients write them and as the kernel has them
//! definition: faults of a client's request   drivers: options of a driver   subnets: free addresses
//! ```

pub(crate) mod connections;
pub(crate) mod definition;
pub(crate) mod drivers;
pub(crate) mod entry;
mod families;
mod names;
pub(crate) mod opening;
pub(crate) mod record;
pub(crate) mod registry;
pub(crate) mod service;
pub(crate) mod subnets;
