//! What a client asked for and does not get, although its build goes on.

use crate::build::Build;
use crate::progress::Step;
use buildkit_messages::control::VertexWarning;

use super::options::Options;

/// Warns about attestations, and caches of kinds that are not supported.
pub(super) fn about(build: &Build, options: &Options, caches: &[String]) {
    let mut warnings: Vec<String> = caches
        .iter()
        .map(|kind| format!("the cache of the kind {kind} is not supported and is not used"))
        .collect();
    if options.wants_provenance {
        warnings.push("provenance attestations are not made: the image has none".to_owned());
    }
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
