//! A container's root as its processes see it, mounts included, whether it runs or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::paths::{BindView, Purpose, View, ViewRequest, ViewSource};
use model::{MountPoint, clean};
use tokio::sync::OwnedMutexGuard;

use crate::container::{Container, Record};
use crate::error::Error;
use crate::files::hold::HeldFiles;
use crate::files::service::Files;
use crate::outcome::joined;

/// A container's root, held open. One that does not run cannot be started while it is written to.
pub(crate) struct HeldView {
    pub(crate) view: View,
    pub(crate) record: Arc<Record>,
    _files: HeldFiles,
    order: Option<OwnedMutexGuard<()>>,
}

impl HeldView {
    /// Whether the container can be neither started nor removed meanwhile.
    pub(crate) const fn is_exclusive(&self) -> bool {
        self.order.is_some()
    }

    /// Checks before a path is written in a stopped container that no mount lies above it whose source is gone: files
    /// that were written into its layer instead would be hidden once it starts. Blocks.
    ///
    /// # Errors
    /// Refused, with the source.
    pub(crate) fn check_sources(&self, path: &str) -> Result<(), Error> {
        if !self.is_exclusive() {
            return Ok(());
        }
        let path = clean(format!("/{path}"));
        let missing =
            self.record.mounts.iter().find(|mount| path.starts_with(&mount.destination) && is_missing(mount));
        match missing {
            Some(MountPoint { source, destination, .. }) => Err(Error::refused(format!(
                "cannot write to {}: {source}, which is mounted at {destination}, is not there",
                path.display()
            ))),
            None => Ok(()),
        }
    }
}

/// Whether the source that a mount has on the host is not there now. Blocks.
fn is_missing(mount: &MountPoint) -> bool {
    !mount.source.is_empty() && !Path::new(&mount.source).exists()
}

impl Files {
    /// Opens a container's root. A reader does not keep the container from being started or removed,
    /// however long the reading takes.
    ///
    /// # Errors
    /// When it cannot be reached or mounted, or was removed meanwhile.
    pub(crate) async fn view(
        self: &Arc<Self>,
        container: &Arc<Container>,
        reference: &str,
        purpose: Purpose,
    ) -> Result<HeldView, Error> {
        let opened = self.open_view(container, purpose).await;
        opened.map_err(|error| self.unless_gone(container, reference, error))
    }

    async fn open_view(
        self: &Arc<Self>,
        container: &Arc<Container>,
        purpose: Purpose,
    ) -> Result<HeldView, Error> {
        let held = self.hold(container)?;
        // A running container is read without its lock, which a stop may hold for a while.
        if let Some((view, record)) = running_view(container.record()).await? {
            return Ok(HeldView { view, record, _files: held, order: None });
        }
        let order = container.transition.lock_owned().await;
        if let Some((view, record)) = running_view(container.record()).await? {
            return Ok(HeldView { view, record, _files: held, order: None });
        }
        let record = container.record();
        let (files, of) = (Arc::clone(self), Arc::clone(&record));
        // The file systems of its mounts may take their time.
        let opened = tokio::task::spawn_blocking(move || {
            View::mounted(&files.view_request(&of, purpose)?).map_err(Error::Path)
        });
        let opened = opened.await;
        let order = Some(order).filter(|_| purpose == Purpose::Writing);
        Ok(HeldView { view: joined(opened)??, record, _files: held, order })
    }

    /// Blocks.
    fn view_request(&self, record: &Record, purpose: Purpose) -> Result<ViewRequest, Error> {
        let lowers = self.images.lower_directories(record)?;
        let mut mounts = record.mounts.clone();
        // What is made at each start is seen in containers that run.
        mounts.retain(|mount| !mount.source.is_empty());
        mounts.sort_by_key(|mount| Path::new(&mount.destination).components().count());
        let mut binds: Vec<BindView> = self
            .name_file_places(record)
            .into_iter()
            .map(|(source, target)| BindView {
                source: ViewSource::Path(source),
                target: target.into(),
                read_only: false,
            })
            .collect();
        for mount in &mounts {
            let target = PathBuf::from(&mount.destination);
            if is_missing(mount) {
                if purpose == Purpose::Writing {
                    binds.push(BindView { source: ViewSource::Missing, target, read_only: true });
                }
                continue;
            }
            let (copy, part) = match mount.volume() {
                Some(volume) => (self.volume_mounts.copy_of(&volume.name)?, volume.subpath.as_str()),
                None => (None, ""),
            };
            let source = match (copy, part) {
                (Some(copy), "") => ViewSource::Mount(Arc::new(copy)),
                // A part of what is mounted while containers run is seen in those that run.
                (Some(_), _) => continue,
                (None, "") => ViewSource::Path(PathBuf::from(&mount.source)),
                (None, part) => {
                    ViewSource::Part { whole: PathBuf::from(&mount.source), part: PathBuf::from(part) }
                }
            };
            binds.push(BindView { source, target, read_only: !mount.writable });
        }
        Ok(ViewRequest {
            lowers,
            upper: self.paths.upper(&record.id),
            work: self.paths.container(&record.id).join("work"),
            binds,
            read_only: record.settings.host.read_only_root,
            purpose,
        })
    }

    /// The resolver files that the container had when it ran, unless volumes take their places.
    fn name_file_places(&self, record: &Record) -> Vec<(PathBuf, &'static str)> {
        let mut files = self.networking.written_resolver_files(record);
        files.retain(|(_, place)| !record.mounts.iter().any(|mount| mount.destination == *place));
        files
    }
}

/// The root of a container that runs; nothing when it does not, or has ended by now.
async fn running_view(record: Arc<Record>) -> Result<Option<(View, Arc<Record>)>, Error> {
    let Some(process) = record.phase.process() else { return Ok(None) };
    let opened = tokio::task::spawn_blocking(move || {
        let view = View::of_process(process.pid);
        // Only now: the number may be another process's.
        sys::process::is_alive(process.pid, process.start_time).then_some(view)
    });
    match joined(opened.await)? {
        Some(view) => Ok(Some((view.map_err(Error::Path)?, record))),
        None => Ok(None),
    }
}
