//! Binds, volumes and tmpfs: opened while the host's tree is in sight, attached inside the root.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use model::{ContainerSpec, Mount, MountSource, Propagation};
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};
use sys::mount::{AttributeChange, MountAttributes, PropagationType};

use super::place::{self, Kind, Root};
use crate::error::Doing;
use crate::{FailureKind, StartError};

/// Files of procfs that may be covered, because programs that show a container's own share of
/// the machine live by that. Everything else of procfs is part of the container's walls.
const COVERABLE_PROC_FILES: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// The detached mounts of a specification, in its order.
#[derive(Debug)]
pub(crate) struct Sources(Vec<OwnedFd>);

impl Sources {
    /// Copies every bind's source and makes every tmpfs.
    pub(crate) fn open(spec: &ContainerSpec) -> Result<Self, StartError> {
        spec.mounts.iter().map(open_source).collect::<Result<_, _>>().map(Self)
    }

    /// Attaches all of them.
    pub(crate) fn attach(self, spec: &ContainerSpec, root: &Root) -> Result<(), StartError> {
        spec.mounts.iter().zip(self.0).try_for_each(|(mount, source)| attach(mount, &source, root))
    }
}

fn open_source(mount: &Mount) -> Result<OwnedFd, StartError> {
    let detached = match &mount.source {
        MountSource::Bind(path) => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_RECURSIVE;
            rustix::mount::open_tree(CWD, path.as_path(), flags)
                .doing_with(|| format!("mounting {}", path.display()))?
        }
        MountSource::Tmpfs(options) => {
            tmpfs(options).doing_with(|| format!("mounting a tmpfs with options {options:?}"))?
        }
    };
    let change = AttributeChange {
        set: if mount.read_only { MountAttributes::READ_ONLY } else { MountAttributes::default() },
        recursive: true,
        ..AttributeChange::default()
    };
    let act = || format!("preparing the mount at {}", mount.destination.display());
    if mount.read_only {
        sys::mount::set_attributes(&detached, c"", change).doing_with(act)?;
    }
    let (kind, recursive) = match mount.propagation {
        Propagation::Private => (PropagationType::Private, false),
        Propagation::RecursivePrivate => (PropagationType::Private, true),
        Propagation::Slave => (PropagationType::Slave, false),
        Propagation::RecursiveSlave => (PropagationType::Slave, true),
        Propagation::Shared => (PropagationType::Shared, false),
        Propagation::RecursiveShared => (PropagationType::Shared, true),
    };
    let change = AttributeChange { propagation: Some(kind), recursive, ..AttributeChange::default() };
    sys::mount::set_attributes(&detached, c"", change).doing_with(act)?;
    Ok(detached)
}

/// Makes a tmpfs of options as mount(8) takes them; without others, nothing in it can run, be
/// set-user-ID or be a device.
pub(crate) fn tmpfs(options: &str) -> io::Result<OwnedFd> {
    let (attributes, settings) = tmpfs_options(options);
    let context = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, c"source", c"tmpfs")?;
    for setting in settings {
        match setting.split_once('=') {
            Some((key, value)) => {
                let (key, value) = (CString::new(key)?, CString::new(value)?);
                rustix::mount::fsconfig_set_string(&context, key.as_c_str(), value.as_c_str())?;
            }
            None => rustix::mount::fsconfig_set_flag(&context, CString::new(setting)?.as_c_str())?,
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn tmpfs_options(options: &str) -> (MountAttrFlags, Vec<&str>) {
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mut settings = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "rw" => attributes -= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "nosuid" => attributes |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "suid" => attributes -= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nodev" => attributes |= MountAttrFlags::MOUNT_ATTR_NODEV,
            "dev" => attributes -= MountAttrFlags::MOUNT_ATTR_NODEV,
            "noexec" => attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "exec" => attributes -= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noatime" => attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME,
            "nodiratime" => attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            "strictatime" => attributes |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            // What the kernel does by itself, or what has no meaning for a new tmpfs.
            "relatime" | "atime" | "diratime" | "async" | "defaults" | "private" | "rprivate" => {}
            setting => settings.push(setting),
        }
    }
    (attributes, settings)
}

fn attach(mount: &Mount, source: &OwnedFd, root: &Root) -> Result<(), StartError> {
    let destination = model::clean(&mount.destination);
    if destination == Path::new("/") {
        return Err(StartError::words(FailureKind::System, "mounting into / is prohibited"));
    }
    let act = || format!("mounting at {}", destination.display());
    let source_is_directory = place::file_type(source).doing_with(act)? == FileType::Directory;
    let kind = if source_is_directory { Kind::Directory } else { Kind::File };
    let found = match root.find_or_make(&destination, kind) {
        Err(Errno::NOTDIR) => return Err(not_a_directory()),
        other => other.doing_with(act)?,
    };
    if (place::file_type(&found).doing_with(act)? == FileType::Directory) != source_is_directory {
        return Err(not_a_directory());
    }
    refuse_procfs(&found, source, &destination)?;
    if root.is(&found).doing_with(act)? {
        return Err(StartError::words(FailureKind::System, "mounting into / is prohibited"));
    }
    super::attach(source, &found).doing_with(act)
}

fn not_a_directory() -> StartError {
    StartError::words(FailureKind::System, "not a directory")
}

/// A bind over procfs could make the container's own protection be written to a file of the
/// attacker's. Only another procfs may cover it as a whole.
fn refuse_procfs(found: &OwnedFd, source: &OwnedFd, destination: &Path) -> Result<(), StartError> {
    let act = || format!("mounting at {}", destination.display());
    if !is_procfs(found).doing_with(act)? {
        return Ok(());
    }
    let whole = destination == Path::new("/proc") && is_procfs(source).doing_with(act)?;
    if whole || COVERABLE_PROC_FILES.iter().any(|file| destination == Path::new(file)) {
        return Ok(());
    }
    let message = format!("{} cannot be mounted because it is inside /proc", destination.display());
    Err(StartError::words(FailureKind::System, message))
}

/// PROC_SUPER_MAGIC of linux/magic.h.
pub(crate) const PROC_MAGIC: i64 = 0x9fa0;

/// Whether a descriptor lies on a procfs.
pub(crate) fn is_procfs(place: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(rustix::fs::fstatfs(place)?.f_type == PROC_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_tmpfs_are_told_apart() {
        let (attributes, settings) = tmpfs_options("rw,exec,size=64m,,mode=1777,ro");
        assert_eq!(settings, ["size=64m", "mode=1777"]);
        assert!(attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV));
        assert!(!attributes.contains(MountAttrFlags::MOUNT_ATTR_NOEXEC));
    }
}
