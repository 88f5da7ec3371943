//! /dev: a tmpfs with the default nodes, the links and the console.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use model::IdMapping;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::mount::MountAttrFlags;

use super::place::{Root, open_beneath};
use super::{attach, copy_mount, host_devices, kernel};
use crate::StartError;
use crate::error::Doing;

/// Name, major and minor number of the nodes that every container has.
pub(crate) const DEFAULT_NODES: [(&CStr, u32, u32); 6] = [
    (c"null", 1, 3),
    (c"zero", 1, 5),
    (c"full", 1, 7),
    (c"random", 1, 8),
    (c"urandom", 1, 9),
    (c"tty", 5, 0),
];

const LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"pts/ptmx", c"ptmx"),
    (c"/proc/kcore", c"core"),
];

/// The container's /dev, first detached, then attached.
#[derive(Debug)]
pub(crate) struct Devices(OwnedFd);

impl Devices {
    /// Makes the tmpfs with its nodes and links.
    pub(crate) fn make() -> Result<Self, StartError> {
        let options = [(c"mode", c"0755"), (c"size", c"65536k")];
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
        let directory = kernel::make(c"tmpfs", &options, attributes).doing("mounting /dev")?;
        for (name, major, minor) in DEFAULT_NODES {
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(
                &directory,
                name,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                device,
            )
            .doing_with(|| format!("making /dev/{}", name.to_string_lossy()))?;
        }
        for (target, name) in LINKS {
            rustix::fs::symlinkat(target, &directory, name)
                .doing_with(|| format!("making /dev/{}", name.to_string_lossy()))?;
        }
        Ok(Self(directory))
    }

    /// Adds the nodes of the host's devices, which the root of a user namespace cannot make, and gives all to that root.
    pub(crate) fn hand_over(
        &self,
        nodes: &[host_devices::Node],
        mapping: &IdMapping,
    ) -> Result<(), StartError> {
        let act = "preparing /dev";
        let directory = Root::new(self.0.try_clone().doing(act)?);
        host_devices::make_beneath_dev(nodes, &directory, mapping)?;
        let Some((user, group)) = mapping.on_host((0, 0)) else { return Ok(()) };
        let names = DEFAULT_NODES.iter().map(|(name, ..)| *name).chain(LINKS.iter().map(|(_, name)| *name));
        let owner = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        for name in names.chain([c"."]) {
            rustix::fs::chownat(&self.0, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).doing(act)?;
        }
        Ok(())
    }

    /// Its directory.
    pub(crate) const fn directory(&self) -> &OwnedFd {
        &self.0
    }

    /// Attaches it; an image must not redirect /dev by a link.
    pub(crate) fn attach(&self, root: &Root) -> Result<(), StartError> {
        let place = root.ordinary_directory("dev").doing("opening /dev")?;
        attach(&self.0, place).doing("mounting /dev")
    }

    /// The node that hides files: made by [`Self::make`], so it is the real one, and still verified.
    pub(crate) fn null(&self) -> Result<OwnedFd, StartError> {
        let act = "opening /dev/null";
        let null = open_beneath(&self.0, Path::new("null"), OFlags::PATH).doing(act)?;
        verify_null(&null).doing(act)?;
        copy_mount(null, false).doing(act)
    }
}

/// Refuses what is not the null device.
pub(crate) fn verify_null(place: impl AsFd) -> rustix::io::Result<()> {
    let status = rustix::fs::statat(place.as_fd(), c"", AtFlags::EMPTY_PATH)?;
    let is_null = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice
        && status.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(()) } else { Err(rustix::io::Errno::NODEV) }
}

/// Shows a terminal as /dev/console. The terminal is named by its descriptor, not by a path that
/// could lead elsewhere.
pub(crate) fn attach_console(dev: impl AsFd, terminal: impl AsFd) -> Result<(), StartError> {
    let act = "mounting /dev/console";
    let place = match open_beneath(&dev, Path::new("console"), OFlags::PATH) {
        Err(rustix::io::Errno::NOENT) => {
            let create = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&dev, c"console", create, Mode::from_raw_mode(0o600)).doing(act)?;
            open_beneath(&dev, Path::new("console"), OFlags::PATH).doing(act)?
        }
        other => other.doing(act)?,
    };
    let copy = copy_mount(terminal, false).doing(act)?;
    attach(copy, place).doing(act)
}
