//! A container's health in each of its phases; its shim checks it.
//!
//! The shim's results are those of one run. The record keeps the last ones over restarts, and a container
//! that is stopped, or paused by a client, is not healthy.

use std::sync::Arc;

use model::{Health, HealthSpec, HealthStatus};
use shim_protocol::RunDirectory;

use crate::container::Record;
use crate::shim::RECORD_LIMIT;

/// The health check for a container's shim. The create of the container warned about an invalid check of its
/// image.
pub(crate) fn specification(record: &Record) -> Option<HealthSpec> {
    let settings = &record.settings;
    settings.health_check.as_ref()?.specification(settings.shell.as_deref()).ok()?
}

/// The health of a container that has just been started.
pub(crate) fn at_start(record: &Record) -> Option<Arc<Health>> {
    specification(record)?;
    let log = record.health.as_ref().map(|health| health.log.clone()).unwrap_or_default();
    Some(Arc::new(Health::starting(log)))
}

/// Nothing checks the container's health any more, or for a while.
pub(crate) fn suspend(record: &mut Record) {
    if let Some(health) = &mut record.health {
        Arc::make_mut(health).status = HealthStatus::Unhealthy;
    }
}

/// Takes over the results that the shim of a container left which ended without a daemon.
pub(crate) fn take_left(record: &mut Record, directory: &RunDirectory) {
    let left = sys::bounded_read::read(&directory.health(), RECORD_LIMIT).ok();
    if let Some(left) = left.and_then(|text| serde_json::from_slice::<Health>(&text).ok())
        && let Some(health) = &mut record.health
    {
        Arc::make_mut(health).replace_last(left.log);
    }
}
