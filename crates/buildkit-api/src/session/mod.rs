//! Clients' sessions: connections on which clients serve, and the calls to them.

mod agent;
mod content;
mod content_writing;
mod credentials;
mod fields;
mod file_send;
mod file_sync;
mod paced;
mod patterns;
mod policy;
mod registry;
mod secrets;

pub(crate) use agent::Agents;
pub(crate) use content::Blob;
pub(crate) use fields::Fields;
pub(crate) use file_send::{Directory, Upload, send_directory};
pub(crate) use file_sync::{SyncRequest, receive};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use file_sync::{Synced, replay};
pub(crate) use paced::{Pace, PacedStream};
pub(crate) use registry::{Session, Sessions};
