//! BuildKit's protocol in front of the engine: it serves `POST /grpc` and `POST /session` once they are no longer HTTP.
//!
//! A client opens a session, on which it serves (its files, secrets, credentials) and this crate calls; and a control
//! connection, on which this crate serves. There it requests a build and watches its progress, and may drive it step by
//! step (the gateway). Builds are those of the engine: [`engine::Builds`].
//!
//! ```text
//! service ─▶ control/ gateway/ ─▶ frontend/ export/ ─▶ session/ received ─▶ synced/ grpc/
//! ```

mod build;
mod builds;
mod cache;
mod capabilities;
mod content;
mod control;
mod export;
mod frontend;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gateway;
mod go_mode;
mod grpc;
mod held;
mod image_build;
mod layer_compression;
mod leftovers;
mod made;
mod parts;
mod progress;
mod provenance;
mod received;
mod remembered;
mod remote_cache;
mod service;
mod session;
mod statement;
mod synced;
mod uploads;
mod worker;

pub use cache::Pruning;
pub use image_build::{ImageBuild, ImageBuildFailure, ImageExporter, RunningImageBuild};
pub use service::{BuildKit, NewSession, SessionRefusal};
