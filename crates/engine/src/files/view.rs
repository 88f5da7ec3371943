//! A container's root as its processes see it, mounts included, whether it runs or not.
//!
//! The root of a running container is reached through its init. For any other one a thread with a
//! mount namespace of its own mounts the overlay and the volumes; they go away with the thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use crate::container::{Container, Record};
use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Does something with a container's root. A container that does not run is kept from starting
    /// meanwhile.
    ///
    /// # Errors
    /// When the root cannot be reached, or what `work` fails with.
    pub(crate) async fn with_root<T: Send + 'static>(
        self: &Arc<Self>,
        container: &Arc<Container>,
        work: impl FnOnce(BorrowedFd<'_>, &Record) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let order = container.transition.lock().await;
        let record = container.record();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (held, order) = if record.is_running() { (None, Some(order)) } else { (Some(order), None) };
        let engine = Arc::clone(self);
        let opened = running_root(&record);
        drop(order);
        let thread = std::thread::Builder::new().name("container-root".to_owned()).spawn(move || {
            let root = match opened {
                Some(root) => root,
                None => engine.mount_root(&record),
            };
            let _ = sender.send(root.and_then(|root| work(root.as_fd(), &record)));
        });
        thread.map_err(|source| Error::refused(format!("cannot start a thread: {source}")))?;
        let result = receiver.await;
        drop(held);
        result.unwrap_or_else(|_| Err(Error::refused("the engine failed at this request")))
    }

    /// Mounts the root of a container that does not run, in a mount namespace of this thread alone.
    fn mount_root(&self, record: &Record) -> Result<OwnedFd, Error> {
        let failed =
            |source: std::io::Error| Error::refused(format!("cannot mount the container's root: {source}"));
        let mut layers = self.stacked_directories(record)?;
        let upper = layers.remove(0);
        sys::mount_namespace::unshare_thread().map_err(failed)?;
        let work = self.container_directory(&record.id).join("work");
        let mount = sys::overlay::mount(&layers, &upper, &work).map_err(failed)?;
        let root = attach(mount, &upper).map_err(failed)?;
        let mut mounts = record.mounts.clone();
        mounts.sort_by_key(|mount| Path::new(&mount.destination).components().count());
        for mount in &mounts {
            bind(root.as_fd(), mount).map_err(failed)?;
        }
        Ok(root)
    }
}

/// The root of a running container, by way of its init.
fn running_root(record: &Record) -> Option<Result<OwnedFd, Error>> {
    let process = record.phase.process()?;
    let path = PathBuf::from(format!("/proc/{}/root", process.pid));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&path, flags, Mode::empty());
    let is_same = sys::process::is_alive(process.pid, process.start_time);
    match root {
        Ok(root) if is_same => Some(Ok(root)),
        Ok(_) | Err(_) => Some(Err(Error::NotRunning(record.id.to_string()))),
    }
}

/// Puts the detached mount over the upper directory, so that other mounts can be put on it.
fn attach(mount: OwnedFd, place: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = rustix::fs::open(place, flags, Mode::empty())?;
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    match rustix::mount::move_mount(&mount, c"", &target, c"", both) {
        // An older kernel has mounted it there already.
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::LOOP) => Ok(mount),
        Err(error) => Err(error.into()),
    }
}

/// Binds a volume or a host's directory at its place beneath the root; a place that was never made
/// (the container has not run) is left alone.
fn bind(root: BorrowedFd<'_>, mount: &model::MountPoint) -> std::io::Result<()> {
    let place = rustix::fs::openat2(
        root,
        mount.destination.trim_start_matches('/'),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    let Ok(place) = place else { return Ok(()) };
    let clone =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let source = match rustix::mount::open_tree(rustix::fs::CWD, mount.source.as_str(), clone) {
        Ok(source) => source,
        // A bind's source that is gone: its place shows what the image has.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !mount.rw {
        let change = sys::mount::AttributeChange {
            set: sys::mount::MountAttributes::READ_ONLY,
            recursive: true,
            ..sys::mount::AttributeChange::default()
        };
        sys::mount::set_attributes(&source, c"", change)?;
    }
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    match rustix::mount::move_mount(&source, c"", &place, c"", both) {
        // A file where a directory is wanted, or the reverse: as if nothing were mounted.
        Ok(()) | Err(rustix::io::Errno::NOTDIR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
