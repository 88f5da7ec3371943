//! Volumes of clusters, which this engine is in none of.

use crate::{ApiError, swarm};

/// The answer to what needs a cluster.
pub(super) fn no_swarm() -> ApiError {
    swarm::unavailable("This node is not a swarm manager: there are only local volumes".to_owned())
}
