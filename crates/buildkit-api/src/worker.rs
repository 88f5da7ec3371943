//! The worker that clients list: the engine itself.

use std::collections::HashMap;

use engine::images::registry::Platform;

use crate::parts::Parts;
use buildkit_messages::operations;
use buildkit_messages::worker::{BuildkitVersion, WorkerRecord};

/// The only worker.
pub(crate) fn record(parts: &Parts) -> WorkerRecord {
    let Platform { os, architecture, variant, .. } = Platform::host();
    let label =
        |name: &str, value: &str| (format!("org.mobyproject.buildkit.worker.{name}"), value.to_owned());
    let labels = [label("executor", "berth"), label("snapshotter", "overlay2")];
    WorkerRecord {
        id: "berth".to_owned(),
        labels: HashMap::from(labels),
        platforms: vec![operations::Platform { architecture, os, variant }],
        version: Some(version(parts)),
    }
}

/// The builder's name and version.
pub(crate) fn version(parts: &Parts) -> BuildkitVersion {
    BuildkitVersion { package: "berth".to_owned(), version: parts.version.clone(), revision: String::new() }
}
