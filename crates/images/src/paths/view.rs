//! A container's file system as it would be, or is, inside the container.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use model::IdMapping;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::mount::{MountFlags, MoveMountFlags, mount, mount_bind_recursive, mount_remount, move_mount};
use sys::overlay::Syncing;
use sys::private_mounts::in_private_mounts;

use super::PathError;
use crate::unpack::open_beneath;

/// Something that the container sees at a place of its own.
#[derive(Debug, Clone)]
pub struct BindView {
    /// Its source.
    pub source: ViewSource,
    /// In the container.
    pub target: PathBuf,
    /// Whether the container may not write there.
    pub read_only: bool,
}

/// The source of a mount.
#[derive(Debug, Clone)]
pub enum ViewSource {
    /// A directory or file of the host.
    Path(PathBuf),
    /// A part of a directory of the host; symlinks lead within it.
    Part {
        /// The directory.
        whole: PathBuf,
        /// The path within it.
        part: PathBuf,
    },
    /// A directory that is a detached mount.
    Mount(Arc<OwnedFd>),
    /// Nothing that is there now: what the layers have in its place is seen and cannot be written.
    Missing,
}

/// Why a container's file system is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Its layer does not change: mount points are made elsewhere. It may be started meanwhile.
    #[default]
    Reading,
    /// It must not be started meanwhile.
    Writing,
}

/// The parts of a container that does not run.
#[derive(Debug, Clone, Default)]
pub struct ViewRequest {
    /// The layers, topmost first.
    pub lowers: Vec<PathBuf>,
    /// The container's own layer.
    pub upper: PathBuf,
    /// Overlay's work directory, on the same file system.
    pub work: PathBuf,
    /// Volumes and binds, in the order in which they are mounted.
    pub binds: Vec<BindView>,
    /// Whether the container may not write to its root.
    pub read_only: bool,
    /// Why it is opened.
    pub purpose: Purpose,
}

/// A container's file system, held open. Its mounts, if it has any, end with it.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    user_namespace: Option<IdMapping>,
    _namespace: Option<OwnedFd>,
}

impl View {
    /// Opens the root of a running container through its init's process on the host.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of_process(process: u32) -> Result<Self, PathError> {
        let path = format!("/proc/{process}/root");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::openat(CWD, &path, flags, Mode::empty()).map_err(PathError::of("open", &path))?;
        let map = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}"));
        let failed = |source| PathError::System { act: "read the users of", path: path.clone(), source };
        let (users, groups) = (map("uid_map").map_err(failed)?, map("gid_map").map_err(failed)?);
        Ok(Self { root, user_namespace: IdMapping::parse(&users, &groups), _namespace: None })
    }

    /// Mounts a container's file system in a mount namespace of its own, invisible elsewhere.
    ///
    /// # Errors
    /// When the kernel refuses a mount.
    pub fn mounted(request: &ViewRequest) -> Result<Self, PathError> {
        let failed = |act| {
            let path = request.upper.display().to_string();
            move |source| PathError::System { act, path, source }
        };
        let (root, namespace) =
            in_private_mounts(|| assemble(request)).map_err(failed("make a mount namespace for"))?;
        let root = root.map_err(failed("mount the layers of"))?;
        Ok(Self { root, user_namespace: None, _namespace: Some(namespace) })
    }

    /// The user namespace whose owners the files have; `None` where they have those of the host, as on disk.
    #[must_use]
    pub const fn user_namespace(&self) -> Option<&IdMapping> {
        self.user_namespace.as_ref()
    }

    /// The root, for [`super::stat`], [`super::fetch`] and [`super::put`].
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// Mounts the layers over the container's own one, which this namespace needs no more, and what
/// the container has mounted into it.
fn assemble(request: &ViewRequest) -> io::Result<OwnedFd> {
    let place = &request.upper;
    let own = rustix::fs::stat(place)?;
    let layers = match request.purpose {
        Purpose::Writing => sys::overlay::mount(&request.lowers, place, &request.work, Syncing::Disk)?,
        Purpose::Reading => mount_for_reading(request, &own)?,
    };
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&layers, c"", CWD, place, flags)?;
    let root = OwnedFd::from(File::open(place)?);
    for bind in &request.binds {
        bind_into(&root, bind)?;
    }
    // Last: places to mount on may have to be made.
    if request.purpose == Purpose::Reading {
        rustix::fs::futimens(&root, &times(&own))?;
    }
    if request.read_only {
        mount_remount(place, MountFlags::BIND | MountFlags::RDONLY, c"")?;
    }
    Ok(root)
}

/// Mounts the container's own layer as one of those below an empty one in memory: the overlay that a
/// start makes of the same layer is not disturbed.
fn mount_for_reading(request: &ViewRequest, own: &Stat) -> io::Result<OwnedFd> {
    let memory = &request.work;
    mount(c"tmpfs", memory, c"tmpfs", MountFlags::empty(), Some(c"mode=700,size=1m"))?;
    let (upper, work) = (memory.join("upper"), memory.join("work"));
    for directory in [&upper, &work] {
        std::fs::create_dir(directory)?;
    }
    // The root directory has the topmost layer's attributes.
    std::os::unix::fs::chown(&upper, Some(own.st_uid), Some(own.st_gid))?;
    std::fs::set_permissions(&upper, Permissions::from_mode(own.st_mode & 0o7777))?;
    let mut lowers = vec![request.upper.clone()];
    lowers.extend_from_slice(&request.lowers);
    sys::overlay::mount(&lowers, &upper, &work, Syncing::Disk)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |tv_sec, nanoseconds: u64| Timespec {
        tv_sec,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Binds to the place that the target is inside the container, never to one outside it.
fn bind_into(root: &OwnedFd, bind: &BindView) -> io::Result<()> {
    let source = match &bind.source {
        ViewSource::Missing => {
            match open_beneath(root.as_fd(), bind.target.as_os_str().as_bytes(), OFlags::PATH) {
                Ok(place) => place,
                // Never started: the place is not there yet.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        ViewSource::Path(path) => rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
        ViewSource::Part { whole, part } => {
            let whole = rustix::fs::open(whole, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            open_beneath(whole.as_fd(), part.as_os_str().as_bytes(), OFlags::PATH)?
        }
        ViewSource::Mount(mount) => mount.try_clone()?,
    };
    let target = match open_beneath(root.as_fd(), bind.target.as_os_str().as_bytes(), OFlags::PATH) {
        Ok(target) => target,
        // Never started: the place is not there yet, and nothing can be below it.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => make_place(root, bind, &source)?,
        Err(error) => return Err(error.into()),
    };
    let place = |descriptor: &OwnedFd| format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    match &bind.source {
        ViewSource::Path(_) | ViewSource::Part { .. } | ViewSource::Missing => {
            mount_bind_recursive(place(&source), place(&target))?
        }
        ViewSource::Mount(_) => {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            move_mount(&source, c"", &target, c"", flags)?;
        }
    }
    if bind.read_only {
        // Opened again: the descriptor still shows what was there before the mount.
        let mounted = open_beneath(root.as_fd(), bind.target.as_os_str().as_bytes(), OFlags::PATH)?;
        mount_remount(place(&mounted), MountFlags::BIND | MountFlags::RDONLY, c"")?;
    }
    Ok(())
}

/// Makes the file or directory to mount on, as a start would.
fn make_place(root: &OwnedFd, bind: &BindView, source: &OwnedFd) -> io::Result<OwnedFd> {
    let is_directory = FileType::from_raw_mode(rustix::fs::fstat(source)?.st_mode) == FileType::Directory;
    let target = bind.target.as_os_str().as_bytes();
    crate::unpack::make_place(root.as_fd(), target, is_directory)?;
    Ok(open_beneath(root.as_fd(), target, OFlags::PATH)?)
}
