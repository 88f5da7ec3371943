//! Flags and file together, and their level of logging.

use tracing::level_filters::LevelFilter;

use super::error::SettingsError;
use super::file::{self, FileError};
use super::flags::{DaemonArguments, Flags};

/// Flags and file together.
pub(super) fn effective(arguments: &DaemonArguments) -> Result<Flags, FileError> {
    let file = file::read(&arguments.config_file)?;
    file::join(&arguments.flags, &file, &arguments.config_file)
}

/// The level of logging in the flags.
pub(super) fn log_level(flags: &Flags) -> Result<LevelFilter, SettingsError> {
    if flags.debug == Some(true) {
        return Ok(LevelFilter::DEBUG);
    }
    match flags.log_level.as_deref().unwrap_or("info") {
        "debug" => Ok(LevelFilter::DEBUG),
        "info" => Ok(LevelFilter::INFO),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "error" | "fatal" => Ok(LevelFilter::ERROR),
        other => Err(SettingsError::flag(
            "log-level",
            format!("{other:?} is no level: debug, info, warn, error, fatal"),
        )),
    }
}
