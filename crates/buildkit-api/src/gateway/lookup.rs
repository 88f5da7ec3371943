//! Which build a call of the gateway is part of.

use std::sync::Arc;

use crate::build::Build;
use crate::grpc::{Call, Status};
use crate::parts::Parts;

/// The field with the build's id.
const BUILD_ID: &str = "buildkit-controlapi-buildid";

/// The build that a call is part of.
///
/// # Errors
/// [`Status`] where the call has no id, or the build does not run.
pub(super) async fn build_of(parts: &Parts, call: &Call) -> Result<Arc<Build>, Status> {
    let reference = call.text(BUILD_ID).unwrap_or_default();
    if reference.is_empty() {
        return Err(Status::invalid("the call does not say which build it is part of"));
    }
    parts.builds.find(reference).await
}
