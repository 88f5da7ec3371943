//! The changes to a container's specification for the devices that it requests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::{
    Device, DeviceNumbers, Mount, MountAccess, MountRestrictions, MountSource, Propagation, Submounts,
};

use super::catalog::CatalogDevice;
use super::document::{EditsDocument, MountDocument, NodeDocument};

/// The additions to a container's specification.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceEdits {
    /// Variables, `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// Device nodes.
    pub(crate) devices: Vec<Device>,
    /// Binds.
    pub(crate) mounts: Vec<Mount>,
    /// Numbers of further groups.
    pub(crate) groups: BTreeSet<u32>,
}

/// Gathers what devices need: what all of one file need once, before what each of them does.
pub(super) fn of_devices<'d>(
    devices: impl Iterator<Item = &'d CatalogDevice>,
) -> Result<DeviceEdits, String> {
    let mut edits = DeviceEdits::default();
    let mut files = BTreeSet::new();
    let mut names = BTreeSet::new();
    for device in devices {
        if files.insert(&device.file) {
            edits.add(&device.shared, &device.name)?;
        }
        if names.insert(&device.name) {
            edits.add(&device.own, &device.name)?;
        }
    }
    Ok(edits)
}

impl DeviceEdits {
    fn add(&mut self, document: &EditsDocument, device: &str) -> Result<(), String> {
        let refused = |what: &str| Err(format!("the device {device} needs {what}"));
        if let Some(hook) = document.hooks.first() {
            return refused(&format!(
                "the hook {} of the program {}, and hooks are not run",
                hook.hook_name, hook.path
            ));
        }
        if document.intel_rdt.is_some() {
            return refused("intelRdt, which is not supported");
        }
        if !document.net_devices.is_empty() {
            return refused("netDevices, which are not supported");
        }
        if let Some(variable) = document.env.iter().find(|variable| !variable.contains('=')) {
            return refused(&format!("the variable {variable:?}, which has no value"));
        }
        self.environment.extend(document.env.iter().cloned());
        for node in &document.device_nodes {
            self.devices.push(device_node(node).map_err(|cause| format!("the device {device}: {cause}"))?);
        }
        for request in &document.mounts {
            self.mounts.push(mount(request).map_err(|cause| format!("the device {device}: {cause}"))?);
        }
        self.groups.extend(document.additional_gids.iter().filter(|group| **group != 0));
        Ok(())
    }
}

fn device_node(node: &NodeDocument) -> Result<Device, String> {
    let is_block = match node.kind.as_str() {
        "b" => Some(true),
        "c" | "u" => Some(false),
        "" => None,
        other => return Err(format!("{} has the type {other:?}: b and c are known", node.path)),
    };
    let number = |number: i64| u32::try_from(number).map_err(|_| format!("{number} is no device number"));
    let numbers = match (is_block, node.major, node.minor) {
        (Some(is_block), Some(major), Some(minor)) => {
            Some(DeviceNumbers { is_block, major: number(major)?, minor: number(minor)? })
        }
        _ => None,
    };
    for path in [&node.path, &node.host_path] {
        if node.path.is_empty() || (!path.is_empty() && !path.starts_with('/')) {
            return Err(format!("{path:?} is not an absolute path"));
        }
    }
    let permissions = node
        .permissions
        .parse()
        .map_err(|_| format!("invalid permissions {:?} of {}", node.permissions, node.path))?;
    let on_host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    Ok(Device {
        path_on_host: PathBuf::from(on_host),
        path_in_container: PathBuf::from(&node.path),
        permissions,
        numbers,
        mode: node.file_mode,
        owner: node.uid,
        group: node.gid,
    })
}

fn mount(request: &MountDocument) -> Result<Mount, String> {
    let place = &request.container_path;
    if !place.starts_with('/') || !request.host_path.starts_with('/') {
        return Err(format!("the mount of {:?} at {place:?} has no absolute path", request.host_path));
    }
    if !matches!(request.kind.as_str(), "" | "bind" | "none") {
        return Err(format!("the mount at {place} has the type {:?}: bind is known", request.kind));
    }
    let mut restrictions = MountRestrictions::default();
    let mut access = MountAccess::ReadWrite;
    let mut propagation = Propagation::RecursivePrivate;
    let mut submounts = Submounts::Included;
    for option in &request.options {
        match option.as_str() {
            "ro" => access = MountAccess::ReadOnly,
            "rw" => access = MountAccess::ReadWrite,
            "bind" => submounts = Submounts::Excluded,
            "rbind" => submounts = Submounts::Included,
            "nosuid" => restrictions.no_set_user_id = true,
            "nodev" => restrictions.no_devices = true,
            "noexec" => restrictions.no_execution = true,
            "private" => propagation = Propagation::Private,
            "rprivate" => propagation = Propagation::RecursivePrivate,
            "slave" => propagation = Propagation::Slave,
            "rslave" => propagation = Propagation::RecursiveSlave,
            "shared" => propagation = Propagation::Shared,
            "rshared" => propagation = Propagation::RecursiveShared,
            other => {
                return Err(format!("the mount at {place} has the option {other:?}, which is not known"));
            }
        }
    }
    Ok(Mount {
        source: MountSource::RestrictedBind { path: PathBuf::from(&request.host_path), restrictions },
        destination: model::clean(Path::new(place)),
        access,
        propagation,
        submounts,
        subpath: None,
        owners: model::Owners::OfHost,
    })
}
