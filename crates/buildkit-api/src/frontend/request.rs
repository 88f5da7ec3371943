//! A build by `POST /build`: its parameters as options of the frontend.

use std::sync::Arc;

use engine::builder::{BuildRequest, ContextSource};
use engine::images::registry::CredentialMap;

use super::options::Options;
use super::outcome::Outcome;
use super::run::{Given, run_with};
use crate::build::Build;
use crate::grpc::Status;
use crate::parts::Parts;

/// The value of `remote` for a context that the client's session provides.
const OF_SESSION: &str = "client-session";
/// Its value for one that another request carries.
const OF_UPLOAD: &str = "upload-request";

/// Runs the frontend for a request.
///
/// # Errors
/// [`Status`] with the text for the client.
pub(crate) async fn run_request(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    request: BuildRequest,
    credentials: CredentialMap,
) -> Result<Outcome, Status> {
    let defaults = Options::default();
    let options = Options {
        file_name: request.dockerfile.filter(|name| !name.is_empty()).unwrap_or(defaults.file_name),
        target: request.target,
        build_arguments: request.build_arguments,
        labels: request.labels,
        platforms: request.platform.into_iter().collect(),
        pull: request.pull,
        no_cache: request.no_cache,
        cache_from: request.cache_from,
        host: request.host,
        ..Options::default()
    };
    let context = match request.context {
        ContextSource::Remote(name) if name == OF_SESSION => None,
        ContextSource::Remote(name) if name == OF_UPLOAD => {
            Some(ContextSource::Archive(parts.uploads.take(&build.reference).await?))
        }
        other => Some(other),
    };
    run_with(parts, build, options, Given { context, credentials, ..Given::default() }).await
}
