//! Refusals of a configuration.

use model::Spelled;
use tonic::Status;

use crate::status::invalid;

/// A text that is a choice.
pub(super) fn choice<T>(what: &str, text: &str) -> Result<Spelled<T>, Status>
where
    T: std::str::FromStr<Err: std::fmt::Display> + std::fmt::Display,
{
    Spelled::parse(text).map_err(|error| invalid(format!("{what}: {error}")))
}

/// The refusal of what this host or this release does not support.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("berth does not support {what}"))
}
