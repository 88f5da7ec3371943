//! The wire types of responses, with the fields and their order of the reference.

mod container;
mod endpoint;
mod event;
mod exec;
mod graph_driver;
mod health;
mod host_config;
mod image_id;
mod moment;
mod mount;
mod network;
mod network_resource;
mod stats;
mod status;
mod summary;
mod text;
mod volume;

use serde::Serialize;

pub(super) use container::ContainerInspection;
pub(super) use event::{EventForm, WireEvent, kind_word};
pub(super) use exec::ExecInspection;
pub(super) use graph_driver::GraphDriver;
pub(super) use health::health_word;
pub(super) use image_id::image_id;
pub(super) use moment::{parse_moment, parse_seconds, parse_until};
pub(super) use network_resource::WireNetwork;
pub(super) use stats::WireStats;
pub(super) use status::status_text;
pub(super) use summary::{ContainerSummary, LookedUp, WirePort, shown_ports};
pub(super) use volume::WireVolume;

/// The answer of create.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateAnswer {
    pub(super) id: String,
    /// `null` when empty, as in the reference.
    pub(super) warnings: Option<Vec<String>>,
}

/// The answer of exec create.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExecAnswer {
    pub(super) id: String,
    pub(super) warnings: Vec<String>,
}
