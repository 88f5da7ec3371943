//! Log drivers, a file each: the options that one takes and, where it sends lines to a server, how.
//!
//! Their names, their options' names and where their logs are read stand in one table, [`model::LOG_DRIVERS`]. The daemon
//! refuses a container's options here before anything starts ([`check`]); the container's shim makes of the same options
//! where lines go and what they become ([`open`]). Connecting, waiting, dropping and counting are the shim's.

mod address;
mod destination;
mod fluentd;
mod gelf;
mod journald;
mod json_file;
mod line;
mod local;
mod mode;
mod msgpack;
mod options;
mod refusal;
mod syslog;

use std::io;

use model::{ContainerSpec, LogConfig, LogDriver, LogSpec};

pub use address::split;
pub use destination::{AtStart, Delivery, Destination, Format};
pub use line::Line;
pub use local::ROTATION as LOCAL_ROTATION;
pub use refusal::Refusal;

use options::Options;

/// Checks the options of a driver, in the reference's words where it has some.
///
/// # Errors
/// A driver that is not there, or what is wrong with its options.
pub fn check(driver: &LogDriver, config: &LogConfig) -> Result<(), Refusal> {
    let options = Options::of(config);
    options.refuse_unknown(driver).map_err(Refusal::Option)?;
    if !matches!(driver, LogDriver::None | LogDriver::Unregistered(_)) {
        mode::check(&options, driver).map_err(Refusal::Option)?;
    }
    match driver {
        LogDriver::JsonFile => json_file::check(&options),
        LogDriver::Local => local::check(&options),
        LogDriver::Syslog => syslog::check(&options),
        LogDriver::Journald => journald::check(),
        LogDriver::Gelf => gelf::check(&options),
        LogDriver::Fluentd => fluentd::check(&options),
        LogDriver::None => Ok(()),
        LogDriver::Unregistered(name) => return Err(Refusal::UnknownDriver(name.clone())),
    }
    .map_err(Refusal::Option)
}

/// The destination of a container's lines whose driver has a server, and their format; `None` for the other
/// drivers.
///
/// # Errors
/// When the server's address cannot be used, or a local server is not there.
pub fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Option<Destination>> {
    match &spec.driver {
        LogDriver::Syslog => syslog::open(spec, container).map(Some),
        LogDriver::Journald => Ok(Some(journald::open(spec, container))),
        LogDriver::Gelf => gelf::open(spec, container).map(Some),
        LogDriver::Fluentd => fluentd::open(spec, container).map(Some),
        LogDriver::None | LogDriver::JsonFile | LogDriver::Local | LogDriver::Unregistered(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
