//! How the API shows what is kept of builds: the directories of `RUN --mount=type=cache`. Their steps are images here.

use engine::builder::CacheMount;
use model::Timestamp;
use serde::Serialize;

use crate::version::{ApiVersion, Ranged, Since, Until};

/// The type of a record: the only one that there is.
pub(super) const KIND: &str = "exec.cachemount";

/// A record of the cache.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BuildCache {
    #[serde(rename = "ID")]
    id: String,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    parent: Until<42, &'static str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    parents: Since<42, Option<[(); 0]>>,
    #[serde(rename = "Type")]
    kind: &'static str,
    description: String,
    in_use: bool,
    shared: bool,
    size: u64,
    created_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    usage_count: u64,
}

impl BuildCache {
    pub(super) fn new(cache: &CacheMount, version: ApiVersion) -> Self {
        Self {
            id: cache.name.clone(),
            parent: Ranged::at(version, || ""),
            parents: Ranged::at(version, || None),
            kind: KIND,
            description: description(cache),
            in_use: cache.in_use,
            shared: false,
            size: cache.size,
            created_at: cache.created.map(Timestamp::from),
            last_used_at: cache.used.map(Timestamp::from),
            usage_count: cache.uses,
        }
    }
}

/// What a record is of.
pub(super) fn description(cache: &CacheMount) -> String {
    format!("cached mount {}", cache.id)
}
