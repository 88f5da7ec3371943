//! Archives of any path in a container, out and in.

use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::paths::{self, Fetched, PathError, PathStat, Placement, Purpose};
use images::{Overwrite, Ownership};
use model::{EventAction, MountPoint};

use crate::error::Error;
use crate::files::arrival;
use crate::files::service::Files;
use crate::files::view::HeldView;
use crate::outcome::joined;

/// A path that was found; [`ArchiveSession::run`] follows once the answer's head is written.
pub struct ArchiveSession {
    files: Arc<Files>,
    held: HeldView,
    fetched: Fetched,
    volumes: Vec<String>,
    action: EventAction,
}

/// The owner of files that are copied into a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOwner {
    /// The owner in the archive.
    Archive,
    /// Root.
    Root,
    /// The user of the container's settings; the owner in the archive when they name none.
    ContainerUser,
}

/// Finds a path beneath a root.
type Fetch = fn(BorrowedFd<'_>, &str) -> Result<Fetched, PathError>;

impl Files {
    /// Returns the status of a path in a container.
    ///
    /// # Errors
    /// Unknown container or path.
    pub async fn archive_stat(self: &Arc<Self>, reference: &str, path: &str) -> Result<PathStat, Error> {
        let held = self.view(&self.directory.find(reference)?, reference, Purpose::Reading).await?;
        let path = path.to_owned();
        let work =
            tokio::task::spawn_blocking(move || paths::stat(held.view.root(), &path).map_err(Error::Path));
        joined(work.await)?
    }

    /// Looks up a path that is to be read as a tar.
    ///
    /// # Errors
    /// Unknown container or path.
    pub async fn prepare_archive(
        self: &Arc<Self>,
        reference: &str,
        path: &str,
    ) -> Result<ArchiveSession, Error> {
        self.prepare_fetch(reference, path, paths::fetch, EventAction::ArchivePath).await
    }

    /// Looks up a path for the old way of copying, `POST /containers/{id}/copy`, which follows links.
    ///
    /// # Errors
    /// Unknown container or path.
    pub async fn prepare_copy(
        self: &Arc<Self>,
        reference: &str,
        path: &str,
    ) -> Result<ArchiveSession, Error> {
        drop(self.directory.find(reference)?);
        let missing = || Error::refused(format!("Could not find the file {path} in container {reference}"));
        match self.prepare_fetch(reference, path, paths::fetch_target, EventAction::Copy).await {
            // The container has gone meanwhile.
            Err(error @ Error::NoSuchContainer(_)) => Err(error),
            Err(error) if error.kind() == model::ErrorKind::NotFound => Err(missing()),
            other => other,
        }
    }

    async fn prepare_fetch(
        self: &Arc<Self>,
        reference: &str,
        path: &str,
        fetch: Fetch,
        action: EventAction,
    ) -> Result<ArchiveSession, Error> {
        let held = self.view(&self.directory.find(reference)?, reference, Purpose::Reading).await?;
        let path = path.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            let fetched = fetch(held.view.root(), &path).map_err(Error::Path)?;
            let volumes = volumes_at(held.view.root(), &held.record.mounts, &fetched.place);
            Ok::<_, Error>((held, fetched, volumes))
        });
        let (held, fetched, volumes) = joined(work.await)??;
        Ok(ArchiveSession { files: Arc::clone(self), held, fetched, volumes, action })
    }

    /// Unpacks an archive into a directory of a container. If that does not run, its starts and removals wait
    /// meanwhile, but not for ever when the archive does not arrive.
    ///
    /// # Errors
    /// Unknown container, a path that is not a directory or is read-only, a user that is not in the
    /// container's files, a bad archive, or one that others had to wait for too long.
    pub async fn archive_write(
        self: &Arc<Self>,
        reference: &str,
        path: &str,
        overwrite: Overwrite,
        owner: FileOwner,
        archive: Box<dyn Read + Send>,
    ) -> Result<(), Error> {
        let container = self.directory.find(reference)?;
        let held = self.view(&container, reference, Purpose::Writing).await?;
        let is_exclusive = held.is_exclusive();
        let record = Arc::clone(&held.record);
        let path = path.to_owned();
        let written = Arc::clone(&container);
        let (archive, arrival) = arrival::observed(archive);
        let work = tokio::task::spawn_blocking(move || {
            held.check_sources(&path)?;
            let (root, user_namespace) = (held.view.root(), held.view.user_namespace());
            let ownership = match owner {
                FileOwner::Archive => Ownership::Archive,
                FileOwner::ContainerUser if held.record.settings.user.is_empty() => Ownership::Archive,
                FileOwner::ContainerUser => {
                    paths::ownership_of(root, &held.record.settings.user).map_err(Error::Path)?
                }
                FileOwner::Root => Ownership::ROOT,
            };
            let put = paths::put(root, &path, archive, Placement { overwrite, ownership, user_namespace })
                .map(drop);
            // A part may be there when the rest failed.
            written.note_write();
            put.map_err(Error::Path)
        });
        tokio::select! {
            // Returning ends the archive, and with it the work.
            () = arrival.exhausted(&container.transition), if is_exclusive => {
                return Err(Error::refused(format!(
                    "the archive did not arrive while others waited for container {}",
                    container.id()
                )));
            }
            done = work => joined(done)??,
        }
        self.events.emit_container(&record, EventAction::ExtractToDirectory, &[]);
        Ok(())
    }
}

/// The volumes that are read with a place: the one it lies in, and those beneath it. Blocks.
fn volumes_at(root: BorrowedFd<'_>, mounts: &[MountPoint], place: &str) -> Vec<String> {
    let place = Path::new(place);
    let mut around: Option<(PathBuf, &MountPoint)> = None;
    let mut volumes = Vec::new();
    for mount in mounts {
        let followed = paths::target(root, &mount.destination);
        let destination = PathBuf::from(followed.unwrap_or_else(|_| mount.destination.clone()));
        let is_nearest = || around.as_ref().is_none_or(|(nearest, _)| destination.starts_with(nearest));
        if place.starts_with(&destination) {
            if is_nearest() {
                around = Some((destination, mount));
            }
        } else if destination.starts_with(place) {
            volumes.push(mount);
        }
    }
    volumes.extend(around.map(|(_, mount)| mount));
    volumes.into_iter().filter_map(MountPoint::volume).map(|volume| volume.name.clone()).collect()
}

impl ArchiveSession {
    /// The status of the path.
    #[must_use]
    pub const fn stat(&self) -> &PathStat {
        &self.fetched.stat
    }

    /// Writes the tar.
    ///
    /// # Errors
    /// When something cannot be read or `out` fails.
    pub async fn run(self, mut out: Box<dyn Write + Send>) -> Result<(), Error> {
        let Self { files, held, fetched, volumes, action } = self;
        let record = Arc::clone(&held.record);
        let work = tokio::task::spawn_blocking(move || {
            fetched.write(&mut out, held.view.user_namespace())?;
            out.flush().map_err(PathError::Output)?;
            drop(held);
            Ok(())
        });
        joined(work.await)?.map_err(Error::Path)?;
        // What nothing keeps from being deleted may have been read in part.
        if let Some(volume) = volumes.iter().find(|volume| files.volumes.find(volume).is_err()) {
            return Err(Error::conflict(format!("volume {volume} was removed while it was read")));
        }
        files.events.emit_container(&record, action, &[]);
        Ok(())
    }
}
