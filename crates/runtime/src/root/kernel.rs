//! The kernel's own file systems: /proc, /sys, /dev/pts, /dev/mqueue, /dev/shm.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use model::{ContainerSpec, Namespace};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};

use super::place::{Root, open_beneath};
use super::{attach, copy_mount, is_overridden};
use crate::StartError;
use crate::error::Doing;
use crate::namespaces::Joined;

/// Nothing set-user-ID, nothing to execute.
const NO_PROGRAMS: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
/// And no devices.
const PLAIN: MountAttrFlags = NO_PROGRAMS.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// The detached file systems. They belong to the namespaces of the process that makes them.
#[derive(Debug)]
pub(crate) struct KernelFileSystems {
    /// Writable, not attached anywhere: whatever lies over /proc, this is the real one.
    pub(crate) proc: OwnedFd,
    proc_to_attach: OwnedFd,
    sys: OwnedFd,
    /// The requested mounts beneath /dev.
    wanted: Wanted,
    /// The container's own terminals.
    pub(crate) terminals: Option<OwnedFd>,
    message_queues: Option<OwnedFd>,
    shared_memory: Option<OwnedFd>,
}

/// Which file systems beneath /dev the specification does not replace by mounts of its own.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    terminals: bool,
    message_queues: bool,
    shared_memory: bool,
}

impl Wanted {
    fn of(spec: &ContainerSpec) -> Self {
        let own_dev = !is_overridden(spec, "/dev");
        let wanted = |place: &str| own_dev && !is_overridden(spec, place);
        Self {
            terminals: wanted("/dev/pts"),
            message_queues: wanted("/dev/mqueue"),
            shared_memory: spec.shm_size > 0 && wanted("/dev/shm"),
        }
    }
}

impl KernelFileSystems {
    /// Makes those of namespaces that the caller is in by now, with the rights of the host's root. [`Self::complete`] makes the
    /// others.
    pub(crate) fn make(spec: &ContainerSpec, joined: &Joined) -> Result<Self, StartError> {
        let wanted = Wanted::of(spec);
        let sys_is_writable = spec.privileged && !spec.read_only_root;
        let sys_attributes =
            if sys_is_writable { PLAIN } else { PLAIN.union(MountAttrFlags::MOUNT_ATTR_RDONLY) };
        let joins = spec.namespaces.ipc != Namespace::Own;
        let shared_memory = match wanted.shared_memory && joins {
            true => Some(shared_memory(spec, joined)?),
            false => None,
        };
        let message_queues = (wanted.message_queues && joins).then(message_queues).transpose()?;
        Ok(Self {
            proc: make(c"proc", &[], PLAIN).doing("mounting proc")?,
            proc_to_attach: make(c"proc", &[], PLAIN).doing("mounting proc")?,
            sys: make(c"sysfs", &[], sys_attributes).doing("mounting sysfs")?,
            wanted,
            terminals: None,
            message_queues,
            shared_memory,
        })
    }

    /// Makes those that belong to the container's own ipc namespace, and its terminals.
    pub(crate) fn complete(mut self, spec: &ContainerSpec, joined: &Joined) -> Result<Self, StartError> {
        self.terminals = self.wanted.terminals.then(terminals).transpose().doing("mounting devpts")?;
        if self.wanted.message_queues && self.message_queues.is_none() {
            self.message_queues = Some(message_queues()?);
        }
        if self.wanted.shared_memory && self.shared_memory.is_none() {
            self.shared_memory = Some(shared_memory(spec, joined)?);
        }
        Ok(self)
    }

    /// Attaches /proc and /sys. An image must not redirect them by a link.
    pub(crate) fn attach_system(&self, spec: &ContainerSpec, root: &Root) -> Result<(), StartError> {
        for (name, place, mount) in [("proc", "/proc", &self.proc_to_attach), ("sys", "/sys", &self.sys)] {
            if is_overridden(spec, place) && name != "proc" {
                continue;
            }
            let directory = root.ordinary_directory(name).doing_with(|| format!("opening {place}"))?;
            attach(mount, directory).doing_with(|| format!("mounting {place}"))?;
        }
        Ok(())
    }

    /// Attaches what lies beneath /dev.
    pub(crate) fn attach_devices(&self, dev: &OwnedFd) -> Result<(), StartError> {
        let parts = [
            ("pts", &self.terminals, 0o755),
            ("mqueue", &self.message_queues, 0o755),
            ("shm", &self.shared_memory, 0o755),
        ];
        for (name, mount, mode) in parts {
            rustix::fs::mkdirat(dev, name, Mode::from_raw_mode(mode))
                .doing_with(|| format!("making /dev/{name}"))?;
            if let Some(mount) = mount {
                let place = open_beneath(dev, Path::new(name), OFlags::PATH)
                    .doing_with(|| format!("opening /dev/{name}"))?;
                attach(mount, place).doing_with(|| format!("mounting /dev/{name}"))?;
            }
        }
        Ok(())
    }
}

/// Makes one detached file system.
pub(crate) fn make(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, c"source", kind)?;
    for (key, value) in options {
        if value.is_empty() {
            rustix::mount::fsconfig_set_flag(&context, *key)?;
        } else {
            rustix::mount::fsconfig_set_string(&context, *key, *value)?;
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn message_queues() -> Result<OwnedFd, StartError> {
    make(c"mqueue", &[], PLAIN).doing("mounting mqueue")
}

/// A devpts of the container's own; group 5 is `tty` everywhere.
fn terminals() -> rustix::io::Result<OwnedFd> {
    let options = [(c"newinstance", c""), (c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")];
    make(c"devpts", &options, NO_PROGRAMS)
}

/// /dev/shm belongs to the ipc namespace, and is shared with it.
fn shared_memory(spec: &ContainerSpec, joined: &Joined) -> Result<OwnedFd, StartError> {
    let act = "mounting /dev/shm";
    match &spec.namespaces.ipc {
        Namespace::Own => super::mounts::tmpfs(&format!("mode=1777,size={}", spec.shm_size)).doing(act),
        Namespace::Host => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_RECURSIVE;
            rustix::mount::open_tree(CWD, c"/dev/shm", flags).doing(act)
        }
        Namespace::Process(_) => {
            let process = joined.ipc.as_ref().ok_or(Errno::SRCH).doing(act)?;
            shared_memory_of(process).doing("sharing the other container's /dev/shm")
        }
    }
}

/// A mount can be copied only from within its own mount namespace: enters that and returns.
fn shared_memory_of(process: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let open = |path: &CStr| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let home = open(c"/proc/self/ns/mnt")?;
    rustix::thread::move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::MOUNT)?;
    let copied = open(c"/").and_then(|root| {
        let place = open_beneath(root, Path::new("dev/shm"), OFlags::PATH | OFlags::DIRECTORY)?;
        // TMPFS_MAGIC of linux/magic.h: never a directory that the other container put there.
        if rustix::fs::fstatfs(&place)?.f_type != 0x0102_1994 {
            return Err(Errno::INVAL);
        }
        copy_mount(place, false)
    });
    rustix::thread::move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Mount))?;
    copied
}
