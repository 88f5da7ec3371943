//! What a client asked for and does not get, although its build goes on.

use crate::build::Build;
use crate::progress::Step;
use buildkit_messages::control::VertexWarning;

/// Warns about caches of kinds that are not supported.
pub(super) fn about(build: &Build, caches: &[String]) {
    let warnings: Vec<String> = caches
        .iter()
        .map(|kind| format!("the cache of the kind {kind} is not supported and is not used"))
        .collect();
    if warnings.is_empty() {
        return;
    }
    let step: Step = build.progress.start("options", "[internal] check build options");
    for warning in warnings {
        build.progress.warn(VertexWarning {
            vertex: step.digest.clone(),
            level: 1,
            short: warning.into_bytes(),
            ..VertexWarning::default()
        });
    }
    step.complete();
}
