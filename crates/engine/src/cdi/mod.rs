//! Devices by the Container Device Interface (CDI, <https://github.com/cncf-tags/container-device-interface>): files on
//! the host describe what a container needs to use a device that it names.

mod catalog;
mod document;
mod edits;

use std::path::PathBuf;

use model::{DeviceCapability, DeviceDriver, DriverDeviceRequest};

use crate::error::Error;
use crate::outcome::joined;

pub(crate) use catalog::Catalog;
pub(crate) use edits::DeviceEdits;

/// The kind of the devices that requests for the capability `gpu` mean.
const GPU_KIND: &str = "nvidia.com/gpu";

/// The default directories of specifications; in a conflict the last wins.
#[must_use]
pub fn default_directories() -> Vec<PathBuf> {
    vec!["/etc/cdi".into(), "/var/run/cdi".into()]
}

/// The devices that specifications name now, by their full names. They are read on a thread that may wait for file systems
/// which do not answer.
///
/// # Errors
/// None of the specifications': those that cannot be read name nothing.
pub async fn discovered(directories: &[PathBuf]) -> Result<Vec<String>, Error> {
    let directories = directories.to_vec();
    let read = move || Catalog::read(&directories).names().map(str::to_owned).collect();
    joined(tokio::task::spawn_blocking(read).await)
}

/// Checks what does not depend on the host.
///
/// # Errors
/// A text that describes the fault.
pub(crate) fn check(requests: &[DriverDeviceRequest]) -> Result<(), String> {
    for request in requests {
        if request.count != 0 && !request.device_ids.is_empty() {
            return Err("cannot set both Count and DeviceIDs on device request".to_owned());
        }
        if request.driver == DeviceDriver::Cdi {
            if !request.options.is_empty() {
                return Err("options are not supported by the device driver cdi".to_owned());
            }
            if let Some(name) = request.device_ids.iter().find(|name| !document::is_full_name(name)) {
                return Err(format!("invalid CDI device name {name:?}: VENDOR/CLASS=NAME is needed"));
            }
        }
    }
    Ok(())
}

/// What a container gets for its requests. Reads the specifications, and may block on file systems which do not
/// answer.
///
/// # Errors
/// A text that names the missing device, or why it cannot be used.
pub(crate) fn resolve(
    requests: &[DriverDeviceRequest],
    directories: &[PathBuf],
) -> Result<DeviceEdits, String> {
    if requests.is_empty() {
        return Ok(DeviceEdits::default());
    }
    let catalog = Catalog::read(directories);
    let mut names: Vec<String> = Vec::new();
    for request in requests {
        names.extend(chosen(request, &catalog)?);
    }
    let unknown: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| catalog.find(name).is_none()).collect();
    if !unknown.is_empty() {
        let why = catalog.failures().map_or_else(String::new, |failures| format!(" ({failures})"));
        return Err(format!(
            "CDI device injection failed: unresolvable CDI devices {}{why}",
            unknown.join(", ")
        ));
    }
    let failed = |cause: String| format!("CDI device injection failed: {cause}");
    edits::of_devices(names.iter().filter_map(|name| catalog.find(name))).map_err(failed)
}

/// The full names of the devices that one request means.
fn chosen(request: &DriverDeviceRequest, catalog: &Catalog) -> Result<Vec<String>, String> {
    if request.driver == DeviceDriver::Cdi {
        return Ok(request.device_ids.clone());
    }
    let wants_gpu = request.capabilities.iter().any(|all| all.contains(&DeviceCapability::Gpu));
    let prefix = format!("{GPU_KIND}=");
    let known: Vec<&str> = catalog.names().filter(|name| name.starts_with(&prefix)).collect();
    if !matches!(request.driver, DeviceDriver::Any | DeviceDriver::Nvidia) || !wants_gpu || known.is_empty() {
        let set = |all: &Vec<DeviceCapability>| {
            let names: Vec<&str> = all.iter().map(DeviceCapability::name).collect();
            format!("[{}]", names.join(" "))
        };
        let sets: Vec<String> = request.capabilities.iter().map(set).collect();
        return Err(format!(
            "could not select device driver {:?} with capabilities: [{}]",
            request.driver.name(),
            sets.join(" ")
        ));
    }
    if !request.device_ids.is_empty() {
        let full = |id: &String| if id.contains('=') { id.clone() } else { format!("{prefix}{id}") };
        return Ok(request.device_ids.iter().map(full).collect());
    }
    let all = format!("{prefix}all");
    let single: Vec<&str> = known.iter().copied().filter(|name| *name != all).collect();
    match usize::try_from(request.count) {
        // -1 is every device.
        Err(_) if known.contains(&all.as_str()) => Ok(vec![all]),
        Err(_) => Ok(single.iter().map(|name| (*name).to_owned()).collect()),
        Ok(count) if count <= single.len() => {
            Ok(single.iter().take(count).map(|name| (*name).to_owned()).collect())
        }
        Ok(count) => {
            Err(format!("{count} devices of the kind {GPU_KIND} are asked for, there are {}", single.len()))
        }
    }
}

#[cfg(test)]
mod tests;
