//! How the API shows what is kept of builds.

use engine::builder::CacheRecord;
use model::Timestamp;
use serde::Serialize;

use crate::version::{ApiVersion, Ranged, Since, Until};

/// A record of the cache.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BuildCache<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    parent: Until<42, &'a str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    parents: Since<42, Option<&'a [String]>>,
    #[serde(rename = "Type")]
    kind: &'static str,
    description: &'a str,
    in_use: bool,
    shared: bool,
    size: u64,
    created_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    usage_count: u64,
}

impl<'a> BuildCache<'a> {
    pub(super) fn new(record: &'a CacheRecord, version: ApiVersion) -> Self {
        let parents = record.parents.as_slice();
        Self {
            id: &record.id,
            parent: Ranged::at(version, || parents.first().map_or("", String::as_str)),
            parents: Ranged::at(version, || Some(parents).filter(|parents| !parents.is_empty())),
            kind: record.kind.name(),
            description: &record.description,
            in_use: record.in_use,
            shared: record.shared,
            size: record.size,
            created_at: record.created,
            last_used_at: record.used,
            usage_count: record.uses,
        }
    }
}
