//! The options of every driver: whether a container waits for its log, and how much waits in the container's stead.
//!
//! No driver makes a container wait: files take everything at once, and of what a log server does not take in time a
//! bounded amount is kept, the rest is dropped and counted.

use model::LogDriver;
use shim_protocol::log::{is_bool, is_true, parse_size};

use crate::options::Options;

pub(crate) fn check(options: &Options<'_>, driver: &LogDriver) -> Result<(), String> {
    let mode = options.find("mode").filter(|mode| !mode.is_empty());
    match mode {
        None | Some("non-blocking") => {}
        Some("blocking") if driver.row().is_none_or(|row| row.server.is_none()) => {}
        Some("blocking") => {
            return Err(format!(
                "mode=blocking is not supported by {driver}: no container waits for its log server, what does not \
                 fit into max-buffer-size is dropped"
            ));
        }
        Some(other) => return Err(format!("logger: logging mode not supported: {other}")),
    }
    if let Some(size) = options.find("max-buffer-size") {
        if mode != Some("non-blocking") {
            return Err(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'".to_owned()
            );
        }
        if parse_size(size).is_none() {
            return Err(format!("error parsing option max-buffer-size: '{size}'"));
        }
    }
    match options.find("cache-disabled") {
        Some(value) if !is_bool(value) => {
            Err(format!("invalid value for cache-disabled: '{value}' must be true or false"))
        }
        Some(value) if !is_true(value) => {
            Err("cache-disabled=false is not supported: logs of log servers are not kept here".to_owned())
        }
        _ => Ok(()),
    }
}
