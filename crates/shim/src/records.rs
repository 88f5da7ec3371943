//! The files the shim leaves in its run directory: its processes, the health at the end, the exit.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use model::{Exit, Health, ProcessReference};
use serde::Serialize;
use shim_protocol::{RunDirectory, ShimProcesses};

use crate::error::ShimError;

/// Writes which processes belong to the container.
pub(crate) fn write_processes(directory: &RunDirectory, processes: &ShimProcesses) -> Result<(), ShimError> {
    replace(&directory.processes(), processes)
}

/// Writes the exit record: the truth about the exit, whether or not a daemon is connected.
pub(crate) fn write_exit(directory: &RunDirectory, exit: &Exit) -> Result<(), ShimError> {
    replace(&directory.exit_record(), exit)
}

/// Writes what the container's health was at its end, for the daemon that finds the exit.
pub(crate) fn write_health(directory: &RunDirectory, health: &Health) -> Result<(), ShimError> {
    replace(&directory.health(), health)
}

/// The shim itself.
pub(crate) fn own_reference() -> ProcessReference {
    let pid = std::process::id();
    ProcessReference { pid, start_time: sys::process::start_time(pid).unwrap_or_default() }
}

/// Writes a file under another name, then renames it: readers see the old one or the new one, whole.
fn replace(path: &Path, content: &impl Serialize) -> Result<(), ShimError> {
    let failed = |source| ShimError::File { act: "write", path: path.to_owned(), source };
    let text = serde_json::to_vec(content).map_err(|error| failed(io::Error::from(error)))?;
    let new = path.with_extension("new");
    sys::private::create(&new).and_then(|mut file| file.write_all(&text)).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}
