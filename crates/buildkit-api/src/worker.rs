//! The worker that clients list: the engine itself.

use engine::images::registry::Platform;

use crate::parts::Parts;
use buildkit_messages::operations;
use buildkit_messages::worker::{BuildkitVersion, WorkerRecord};

/// The only worker.
pub(crate) fn record(parts: &Parts) -> WorkerRecord {
    let Platform { os, architecture, variant, .. } = Platform::host();
    let label =
        |name: &str, value: &str| (format!("org.mobyproject.buildkit.worker.{name}"), value.to_owned());
    let mut labels = vec![label("executor", "berth"), label("snapshotter", "overlay2")];
    if let Some(address) = parts.engine.networks.host_gateway() {
        // Clients put it in the place of `host-gateway`.
        labels.push(label("moby.host-gateway-ip", &address.to_string()));
    }
    WorkerRecord {
        id: "berth".to_owned(),
        labels: labels.into_iter().collect(),
        platforms: vec![operations::Platform { architecture, os, variant }],
        version: Some(version(parts)),
    }
}

/// The builder's name and version.
pub(crate) fn version(parts: &Parts) -> BuildkitVersion {
    BuildkitVersion { package: "berth".to_owned(), version: parts.version.clone(), revision: String::new() }
}
