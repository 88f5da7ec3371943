//! `Devices` and `DeviceCgroupRules`: which of the host's device nodes a container sees and may use.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use model::{Device, DeviceMapping, DeviceRule, HostConfig};

use crate::container::mounts;
use crate::error::Error;

/// Checks what needs no look at the host.
///
/// # Errors
/// Refused when a permission or a rule is malformed, or a path in the container relative.
pub(crate) fn check(host: &HostConfig) -> Result<(), Error> {
    for mapping in host.devices.iter().flatten() {
        let permissions = &mapping.cgroup_permissions;
        if !permissions.bytes().all(|letter| b"rwm".contains(&letter)) {
            let cause = format!("invalid permissions \"{permissions}\", only r, w and m are known");
            return Err(Error::refused(gathering(mapping, &cause)));
        }
        if !mapping.path_in_container.is_empty() && !mapping.path_in_container.starts_with('/') {
            let cause = format!("\"{}\" is not an absolute path", mapping.path_in_container);
            return Err(Error::refused(gathering(mapping, &cause)));
        }
    }
    rules(host).map(drop)
}

fn gathering(mapping: &DeviceMapping, cause: &str) -> String {
    let path = &mapping.path_on_host;
    format!("error gathering device information while adding custom device \"{path}\": {cause}")
}

/// The devices of `Devices`, as the host has them now.
///
/// # Errors
/// Not found, or refused when it is no device.
pub(crate) fn shown(host: &HostConfig) -> Result<Vec<Device>, Error> {
    host.devices.iter().flatten().map(device).collect()
}

fn device(mapping: &DeviceMapping) -> Result<Device, Error> {
    let path = PathBuf::from(&mapping.path_on_host);
    let Ok(found) = std::fs::metadata(&path) else {
        let cause = format!("lstat {}: no such file or directory", mapping.path_on_host);
        return Err(Error::not_found(gathering(mapping, &cause)));
    };
    let kind = found.file_type();
    if !kind.is_dir() && !kind.is_char_device() && !kind.is_block_device() {
        return Err(Error::refused(gathering(mapping, "not a device node")));
    }
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    Ok(Device {
        path_on_host: path,
        path_in_container: mounts::clean(&or(&mapping.path_in_container, &mapping.path_on_host)),
        permissions: or(&mapping.cgroup_permissions, "rwm"),
    })
}

/// Parses `DeviceCgroupRules`: `c 1:3 rwm`, with `*` for any number.
///
/// # Errors
/// Refused when one is malformed.
pub(crate) fn rules(host: &HostConfig) -> Result<Vec<DeviceRule>, Error> {
    let complaint = |text: &String| Error::refused(format!("invalid device cgroup rule format: '{text}'"));
    host.device_cgroup_rules.iter().flatten().map(|text| rule(text).ok_or_else(|| complaint(text))).collect()
}

fn rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split_whitespace();
    let kind = words.next().filter(|kind| matches!(*kind, "a" | "b" | "c"))?.chars().next()?;
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    let permissions = words.next()?.to_owned();
    let known = permissions.bytes().all(|letter| b"rwm".contains(&letter));
    (known && words.next().is_none()).then_some(())?;
    Some(DeviceRule { kind, major: number(major)?, minor: number(minor)?, permissions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_rules_parse() {
        assert_eq!(rule("c 1:* rw").expect("a rule").minor, None);
        for bad in ["", "x 1:1 r", "c 1 r", "c 1:1 q", "c 1:1 r more"] {
            assert_eq!(rule(bad), None, "{bad}");
        }
    }
}
