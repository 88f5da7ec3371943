//! Whether the host has the processors and memory nodes that a container asks for.

use model::{CpuSet, ResourceSettings, Spelled};

use crate::error::Error;

/// Where the kernel lists what is online, in the form of cpuset(7).
const PROCESSORS: &str = "/sys/devices/system/cpu/online";
const MEMORY_NODES: &str = "/sys/devices/system/node/online";

/// Checks both lists.
///
/// # Errors
/// Refused when one names what the host does not have.
pub(crate) fn check(host: &ResourceSettings) -> Result<(), Error> {
    check_list(&host.cpuset_cpus, "CPUs", PROCESSORS)?;
    check_list(&host.cpuset_mems, "memory nodes", MEMORY_NODES)
}

fn check_list(wanted: &Spelled<CpuSet>, things: &str, online: &str) -> Result<(), Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    // A kernel without memory nodes has one.
    let online = std::fs::read_to_string(online).unwrap_or_else(|_| "0".to_owned());
    let available = online.trim();
    if wanted.is_within(&available.parse().unwrap_or_default()) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "Requested {things} are not available - requested {wanted}, available: {available}"
    )))
}
