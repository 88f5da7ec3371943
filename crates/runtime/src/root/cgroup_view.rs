//! /sys/fs/cgroup as the container sees it: its own cgroups only.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountAttrFlags, OpenTreeFlags};
use sys::mount::{AttributeChange, MountAttributes};

use super::place::{Root, open_beneath};
use super::{attach, kernel, mounts};
use crate::StartError;
use crate::error::Doing;

/// A container's view of the cgroup file systems.
#[derive(Debug, Clone, Default)]
pub(crate) struct CgroupLayout {
    /// The container's directory on the host by the name that its hierarchy has beneath
    /// /sys/fs/cgroup; an empty name is the place itself (a v2 host).
    pub(crate) directories: Vec<(String, PathBuf)>,
    /// Further names of hierarchies that hold several controllers: name, target.
    pub(crate) links: Vec<(String, String)>,
}

/// The detached mounts.
#[derive(Debug)]
pub(crate) struct CgroupView {
    mounts: Vec<(String, OwnedFd)>,
    links: Vec<(String, String)>,
    writable: bool,
}

impl CgroupView {
    /// Copies the container's own directories from the host's tree.
    pub(crate) fn open(layout: &CgroupLayout, writable: bool) -> Result<Self, StartError> {
        let mounts = layout
            .directories
            .iter()
            .map(|(name, path)| Ok((name.clone(), open(path, writable)?)))
            .collect::<Result<_, StartError>>()?;
        Ok(Self { mounts, links: layout.links.clone(), writable })
    }

    /// Attaches them in the container's /sys.
    pub(crate) fn attach(self, root: &Root) -> Result<(), StartError> {
        let act = "mounting /sys/fs/cgroup";
        let place = match root.find(Path::new("/sys/fs/cgroup")) {
            // A kernel without cgroups' mount point, or a /sys of the user's own.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            other => other.doing(act)?,
        };
        if let [(name, mount)] = self.mounts.as_slice()
            && name.is_empty()
        {
            return attach(mount, place).doing(act);
        }
        let directory = mounts::tmpfs("mode=0755").doing(act)?;
        for (target, name) in self.links.iter().map(|(name, target)| (target, name)) {
            rustix::fs::symlinkat(target.as_str(), &directory, name.as_str()).doing(act)?;
        }
        attach(&directory, place).doing(act)?;
        for (name, mount) in &self.mounts {
            rustix::fs::mkdirat(&directory, name.as_str(), Mode::from_raw_mode(0o755)).doing(act)?;
            let place = open_beneath(&directory, Path::new(name), OFlags::PATH).doing(act)?;
            attach(mount, place).doing(act)?;
        }
        if self.writable {
            return Ok(());
        }
        set_read_only(&directory).doing(act)
    }
}

/// A cgroup v2 of the container's own cgroup namespace, which must have been entered.
pub(crate) fn attach_own_namespace(root: &Root, writable: bool) -> Result<(), StartError> {
    let act = "mounting /sys/fs/cgroup";
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if !writable {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let mount = kernel::make(c"cgroup2", &[], attributes).doing(act)?;
    let place = root.find(Path::new("/sys/fs/cgroup")).doing(act)?;
    attach(mount, place).doing(act)
}

fn open(path: &Path, writable: bool) -> Result<OwnedFd, StartError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let act = || format!("mounting {}", path.display());
    let mount = rustix::mount::open_tree(CWD, path, flags).doing_with(act)?;
    if !writable {
        set_read_only(&mount).doing_with(act)?;
    }
    Ok(mount)
}

fn set_read_only(mount: &OwnedFd) -> std::io::Result<()> {
    let set = MountAttributes::READ_ONLY
        .and(MountAttributes::NO_SET_USER_ID)
        .and(MountAttributes::NO_DEVICES)
        .and(MountAttributes::NO_EXECUTE);
    sys::mount::set_attributes(mount, c"", AttributeChange { set, ..AttributeChange::default() })
}
