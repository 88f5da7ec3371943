//! Which of the host's device nodes a container sees and may use.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use model::{Device, DeviceRequest, HostSettings, kernel_words};

use crate::container::mounts;
use crate::error::Error;

/// Checks what does not depend on the host.
///
/// # Errors
/// Refused when a path in the container is relative, or a request for devices contradicts itself.
pub(crate) fn check(host: &HostSettings) -> Result<(), Error> {
    for mapping in host.devices.iter().flatten() {
        if !mapping.path_in_container.is_empty() && !mapping.path_in_container.starts_with('/') {
            let cause = format!("\"{}\" is not an absolute path", mapping.path_in_container);
            return Err(Error::refused(gathering(mapping, &cause)));
        }
    }
    crate::cdi::check(host.device_requests.as_deref().unwrap_or_default()).map_err(Error::refused)
}

fn gathering(mapping: &DeviceRequest, cause: &str) -> String {
    let path = &mapping.path_on_host;
    format!("error gathering device information while adding custom device \"{path}\": {cause}")
}

/// The devices that the container sees, as the host has them now.
///
/// # Errors
/// Not found; refused when it is no device or the kernel does not show it.
pub(crate) fn shown(host: &HostSettings) -> Result<Vec<Device>, Error> {
    host.devices.iter().flatten().map(device).collect()
}

fn device(mapping: &DeviceRequest) -> Result<Device, Error> {
    let path = PathBuf::from(&mapping.path_on_host);
    let found = std::fs::metadata(&path).map_err(|error| {
        let words = format!("lstat {}: {}", mapping.path_on_host, kernel_words(&error));
        let words = gathering(mapping, &words);
        if error.kind() == ErrorKind::NotFound { Error::MissingOnHost(words) } else { Error::refused(words) }
    })?;
    let kind = found.file_type();
    if !kind.is_dir() && !kind.is_char_device() && !kind.is_block_device() {
        return Err(Error::refused(gathering(mapping, "not a device node")));
    }
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    Ok(Device {
        path_on_host: path,
        path_in_container: mounts::clean(or(&mapping.path_in_container, &mapping.path_on_host)),
        permissions: *mapping.permissions,
        ..Device::default()
    })
}
