//! The record of a build, and the documents that it names.

use std::collections::HashMap;

use bytes::Bytes;
use model::without_credentials;

use crate::build::{Build, CACHE_OPTIONS};
use crate::grpc::Status;
use crate::statement::Statement;
use buildkit_messages::google::Timestamp;
use buildkit_messages::history::{BuildHistoryRecord, BuildResultInfo};

/// A build that is over.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) record: BuildHistoryRecord,
    statements: Vec<Statement>,
}

impl Remembered {
    pub(crate) fn new(build: &Build, outcome: &Result<HashMap<String, String>, Status>) -> Self {
        Self { record: record(build, Some(outcome)), statements: build.statements() }
    }

    /// The document of a digest that the record names.
    pub(crate) fn document(&self, digest: &str) -> Option<Bytes> {
        let found = self.statements.iter().find(|statement| statement.descriptor.digest == digest);
        found.map(|statement| statement.document.clone())
    }
}

/// The record of a build; without an outcome of one that runs.
pub(crate) fn record(
    build: &Build,
    outcome: Option<&Result<HashMap<String, String>, Status>>,
) -> BuildHistoryRecord {
    let counts = build.progress.counts();
    let mut results: HashMap<String, BuildResultInfo> = HashMap::new();
    for Statement { platform, descriptor, .. } in build.statements() {
        results.entry(platform).or_default().attestations.push(descriptor);
    }
    // Only results of several platforms are distinguished by them.
    let result = if results.len() == 1 { results.drain().next().map(|(_, result)| result) } else { None };
    BuildHistoryRecord {
        reference: build.reference.clone(),
        frontend: build.frontend.clone(),
        frontend_attributes: shown(build.attributes()),
        exporters: build.exporters.clone(),
        error: outcome.and_then(|outcome| outcome.as_ref().err()).map(Status::to_message),
        created: Some(build.created),
        completed: outcome.map(|_| Timestamp::now()),
        exporter_response: outcome.and_then(|outcome| outcome.as_ref().ok()).cloned().unwrap_or_default(),
        result,
        results,
        generation: 1,
        pinned: false,
        cached_steps: counts.cached,
        total_steps: counts.total,
        completed_steps: counts.completed,
        warnings: counts.warnings,
    }
}

/// Options of a build as its record shows them: without the credentials of addresses, and without caches, whose options
/// may be tokens.
fn shown(options: HashMap<String, String>) -> HashMap<String, String> {
    let options = options.into_iter().filter(|(name, _)| !CACHE_OPTIONS.contains(&name.as_str()));
    options.map(|(name, value)| (name, without_credentials(&value))).collect()
}
