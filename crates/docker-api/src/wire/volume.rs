//! A volume as lists, inspect and create show it.

use std::collections::BTreeMap;

use engine::Volume;
use model::Timestamp;
use serde::Serialize;

use crate::version::{ApiVersion, Ranged, Since};

/// An entry of `GET /volumes`, and the answer of `GET /volumes/(name)` and of create.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WireVolume<'a> {
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    created_at: Since<31, Timestamp>,
    driver: &'a str,
    /// `null` when empty.
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    labels: Since<23, Option<&'a BTreeMap<String, String>>>,
    mountpoint: String,
    name: &'a str,
    /// `null` when empty.
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    options: Since<25, Option<&'a BTreeMap<String, String>>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    scope: Since<24, &'static str>,
}

impl<'a> WireVolume<'a> {
    pub(crate) fn new(volume: &'a Volume, version: ApiVersion) -> Self {
        let filled = |map: &'a BTreeMap<String, String>| Some(map).filter(|map| !map.is_empty());
        Self {
            created_at: Ranged::at(version, || volume.created.whole_seconds()),
            driver: volume.driver.name(),
            labels: Ranged::at(version, || filled(&volume.labels)),
            mountpoint: volume.content.display().to_string(),
            name: &volume.name,
            options: Ranged::at(version, || filled(&volume.options)),
            scope: Ranged::at(version, || "local"),
        }
    }
}
