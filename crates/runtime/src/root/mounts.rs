//! Binds, volumes and tmpfs: opened while the host's tree is in sight, attached inside the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use model::{
    ContainerSpec, Mount, MountAccess, MountRestrictions, MountSource, Owners, Propagation, Submounts,
};
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags};
use sys::filesystem::MountOptions;
use sys::mount::{AttributeChange, MountAttributes, PropagationType};

use super::mapped_layers::map_owners;
use super::place::{self, Kind, Root};
use super::propagation;
use crate::error::Doing;
use crate::{FailureKind, StartError};

/// Files of procfs that may be covered, because programs that show a container's own share of the machine
/// depend on that. Everything else of procfs is part of the container's isolation.
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

/// The detached mounts of a specification, in its order. Those that are not of the host's tree are made when they can be.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Option<OwnedFd>>);

impl Sources {
    /// Copies every bind's source. `held` are the mount namespaces of volumes that are mounts, `users` is the container's user
    /// namespace.
    pub(crate) fn open(
        spec: &ContainerSpec,
        held: &[OwnedFd],
        users: Option<BorrowedFd<'_>>,
    ) -> Result<Self, StartError> {
        let open = |mount: &Mount| {
            let Some(detached) = open_source(mount, held)? else { return Ok(None) };
            if let (Some(users), Owners::OfContainer) = (users, mount.owners) {
                let submounts = match mount.submounts {
                    Submounts::Included => sys::mount::Submounts::Included,
                    Submounts::Excluded => sys::mount::Submounts::Excluded,
                };
                map_owners(&detached, users, submounts, &name_of(&mount.source))?;
            }
            set_attributes(mount, detached).map(Some)
        };
        spec.mounts.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Mounts images, and resolves the requested parts of sources. The caller's mounts must be private: a source lies over
    /// `place`, a directory of the host, for a moment.
    pub(crate) fn complete(self, spec: &ContainerSpec, place: &Path) -> Result<Self, StartError> {
        let complete = |(mount, source): (&Mount, Option<OwnedFd>)| {
            let whole = match (&mount.source, source) {
                (MountSource::Image(layers), _) => {
                    let mounted =
                        sys::overlay::mount_read_only(layers).doing("mounting the layers of an image")?;
                    Some(set_attributes(mount, mounted)?)
                }
                (_, source) => source,
            };
            match (&mount.subpath, whole) {
                (Some(part), Some(whole)) => part_of(&whole, part, place).map(Some),
                (_, whole) => Ok(whole),
            }
        };
        spec.mounts.iter().zip(self.0).map(complete).collect::<Result<_, _>>().map(Self)
    }

    /// Attaches all of them, with every tmpfs, which belongs to the container's user namespace.
    pub(crate) fn attach(self, spec: &ContainerSpec, root: &Root) -> Result<(), StartError> {
        spec.mounts.iter().zip(self.0).try_for_each(|(mount, source)| {
            let source = match (&mount.source, source) {
                (MountSource::Tmpfs(options), _) => {
                    let made = tmpfs(&with_mode(options, &mount.destination, root)?)
                        .doing_with(|| format!("mounting a tmpfs with options {options:?}"))?;
                    Some(set_attributes(mount, made)?)
                }
                (_, source) => source,
            };
            source.map_or(Ok(()), |source| attach(mount, &source, root))
        })
    }
}

/// Opens a source in the host's tree or its volumes.
fn open_source(mount: &Mount, held: &[OwnedFd]) -> Result<Option<OwnedFd>, StartError> {
    let detached = match &mount.source {
        MountSource::Bind(path) => copy_tree(mount, path)?,
        MountSource::RestrictedBind { path, restrictions } => {
            let tree = copy_tree(mount, path)?;
            restrict(&tree, *restrictions)
                .doing_with(|| format!("restricting the mount of {}", path.display()))?;
            tree
        }
        MountSource::Tmpfs(_) | MountSource::Image(_) => return Ok(None),
        MountSource::Held { volume, number } => held
            .get(*number)
            .ok_or_else(|| Errno::BADF.into())
            .and_then(|namespace| sys::held_mount::copy_and_return(namespace.as_fd()))
            .doing_with(|| format!("mounting the volume {volume}"))?,
    };
    Ok(Some(detached))
}

/// Gives a detached mount its access and its propagation.
fn set_attributes(mount: &Mount, detached: OwnedFd) -> Result<OwnedFd, StartError> {
    let act = || format!("preparing the mount at {}", mount.destination.display());
    let recursive = match mount.access {
        MountAccess::ReadWrite => None,
        MountAccess::ReadOnly => Some(true),
        MountAccess::ReadOnlyAlone => Some(false),
    };
    if let Some(recursive) = recursive {
        let set = MountAttributes::READ_ONLY;
        let change = AttributeChange { set, recursive, ..AttributeChange::default() };
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

fn restrict(tree: &OwnedFd, restrictions: MountRestrictions) -> std::io::Result<()> {
    let chosen = [
        (restrictions.no_set_user_id, MountAttributes::NO_SET_USER_ID),
        (restrictions.no_devices, MountAttributes::NO_DEVICES),
        (restrictions.no_execution, MountAttributes::NO_EXECUTE),
    ];
    for (_, set) in chosen.into_iter().filter(|(is_chosen, _)| *is_chosen) {
        let change = AttributeChange { set, recursive: true, ..AttributeChange::default() };
        sys::mount::set_attributes(tree, c"", change)?;
    }
    Ok(())
}

/// Copies a directory or file of the host as a mount, if the host's own mount has the requested propagation.
fn copy_tree(mount: &Mount, path: &Path) -> Result<OwnedFd, StartError> {
    propagation::check(path, mount.propagation)?;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if mount.submounts == Submounts::Included {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, path, flags).doing_with(|| format!("mounting {}", path.display()))
}

/// Copies a part of a mount as a mount of its own. Links lead within the whole.
fn part_of(whole: &OwnedFd, part: &Path, place: &Path) -> Result<OwnedFd, StartError> {
    let act = || format!("mounting the part {} of a volume", part.display());
    // Only what is attached can be copied from.
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(whole, c"", CWD, place, flags).doing_with(act)?;
    let found = place::open_within(whole, part).map_err(|error| match error {
        Errno::XDEV | Errno::LOOP => {
            let message = format!("the subpath {} leads out of the volume", part.display());
            StartError::words(FailureKind::Refused, message)
        }
        Errno::NOENT | Errno::NOTDIR => {
            let message =
                format!("cannot access path {} of the volume: no such file or directory", part.display());
            StartError::words(FailureKind::Missing, message)
        }
        error => StartError::system(act(), error),
    })?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let copied = rustix::mount::open_tree(&found, c"", flags).doing_with(act)?;
    rustix::mount::unmount(place, UnmountFlags::DETACH).doing_with(act)?;
    Ok(copied)
}

/// Makes a tmpfs of options as mount(8) takes them; without others, nothing in it can run, be
/// set-user-ID or be a device.
pub(crate) fn tmpfs(options: &str) -> std::io::Result<OwnedFd> {
    sys::filesystem::mount("tmpfs", "tmpfs", &MountOptions::restricted(options))
}

/// Options of a tmpfs without a mode get that of the directory which it lies over, if there is one.
fn with_mode(options: &str, destination: &Path, root: &Root) -> Result<String, StartError> {
    if options.split(',').any(|option| option.starts_with("mode=")) {
        return Ok(options.to_owned());
    }
    let act = || format!("mounting at {}", destination.display());
    let covered = match root.find(destination) {
        Err(Errno::NOENT) => return Ok(options.to_owned()),
        found => rustix::fs::fstat(found.doing_with(act)?).doing_with(act)?,
    };
    let mode = format!("mode={:o}", covered.st_mode & 0o7777);
    Ok(if options.is_empty() { mode } else { format!("{options},{mode}") })
}

fn attach(mount: &Mount, source: &OwnedFd, root: &Root) -> Result<(), StartError> {
    let destination = model::clean(&mount.destination);
    if destination == Path::new("/") {
        return Err(StartError::words(FailureKind::System, "mounting into / is prohibited"));
    }
    let act = || format!("mounting at {}", destination.display());
    let source_is_directory = place::file_type(source).doing_with(act)? == FileType::Directory;
    let kind = if source_is_directory { Kind::Directory } else { Kind::File };
    let name = name_of(&mount.source);
    let found = match root.find_or_make(&destination, kind) {
        Err(Errno::NOTDIR) => return Err(not_a_directory(&name, &destination.display().to_string())),
        other => other.doing_with(act)?,
    };
    let target_is_directory = place::file_type(&found).doing_with(act)? == FileType::Directory;
    if target_is_directory != source_is_directory {
        let word = |is_directory| if is_directory { "directory" } else { "file" };
        let source = match mount.source {
            MountSource::Bind(_) | MountSource::RestrictedBind { .. } => {
                format!("the {} {name}", word(source_is_directory))
            }
            MountSource::Tmpfs(_) | MountSource::Image(_) | MountSource::Held { .. } => name,
        };
        let target = format!("the {} {}", word(target_is_directory), destination.display());
        return Err(not_a_directory(&source, &target));
    }
    refuse_procfs(&found, source, &destination)?;
    if root.is(&found).doing_with(act)? {
        return Err(StartError::words(FailureKind::System, "mounting into / is prohibited"));
    }
    super::attach(source, &found).doing_with(act)
}

/// The source of a mount, in words.
fn name_of(source: &MountSource) -> String {
    match source {
        MountSource::Bind(path) | MountSource::RestrictedBind { path, .. } => path.display().to_string(),
        MountSource::Tmpfs(_) => "a tmpfs".to_owned(),
        MountSource::Image(_) => "an image".to_owned(),
        MountSource::Held { volume, .. } => format!("the volume {volume}"),
    }
}

/// A directory can lie over directories alone, a file over files.
fn not_a_directory(source: &str, target: &str) -> StartError {
    StartError::words(FailureKind::System, format!("mounting {source} at {target}: not a directory"))
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
