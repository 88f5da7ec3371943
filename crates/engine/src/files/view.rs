//! A container's root as its processes see it, mounts included, whether it runs or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::paths::{BindView, PathError, View, ViewRequest};
use tokio::sync::OwnedMutexGuard;

use crate::container::connect::joined;
use crate::container::{Container, Record};
use crate::engine::Engine;
use crate::error::Error;

/// A container's root, held open. One that does not run cannot be started meanwhile.
pub(crate) struct HeldView {
    pub(crate) view: View,
    pub(crate) record: Arc<Record>,
    _order: Option<OwnedMutexGuard<()>>,
}

impl Engine {
    /// Opens a container's root.
    ///
    /// # Errors
    /// When it cannot be reached or mounted.
    pub(crate) async fn view(self: &Arc<Self>, container: &Arc<Container>) -> Result<HeldView, Error> {
        let order = Arc::clone(&container.transition).lock_owned().await;
        let record = container.record();
        let (request, order) = match record.phase.process() {
            Some(_) => (None, None),
            None => (Some(self.view_request(&record)?), Some(order)),
        };
        let seen = Arc::clone(&record);
        let opened = tokio::task::spawn_blocking(move || match (request, seen.phase.process()) {
            (None, Some(process)) => {
                let view = View::of_process(process.pid).map_err(path_error)?;
                if sys::process::is_alive(process.pid, process.start_time) {
                    Ok(view)
                } else {
                    Err(Error::NotRunning(seen.id.to_string()))
                }
            }
            (Some(request), _) => View::mounted(&request).map_err(path_error),
            (None, None) => Err(Error::NotRunning(seen.id.to_string())),
        });
        let view = joined(opened.await)??;
        Ok(HeldView { view, record, _order: order })
    }

    fn view_request(&self, record: &Record) -> Result<ViewRequest, Error> {
        let lowers = self.lower_directories(record)?;
        let mut mounts = record.mounts.clone();
        mounts.retain(|mount| Path::new(&mount.source).exists());
        mounts.sort_by_key(|mount| Path::new(&mount.destination).components().count());
        let bind = |mount: &model::MountPoint| BindView {
            source: PathBuf::from(&mount.source),
            target: PathBuf::from(&mount.destination),
            read_only: !mount.rw,
        };
        let mut binds: Vec<BindView> = self
            .name_file_places(record)
            .into_iter()
            .map(|(source, target)| BindView { source, target: target.into(), read_only: false })
            .collect();
        binds.extend(mounts.iter().map(bind));
        Ok(ViewRequest {
            lowers,
            upper: self.upper(record),
            work: self.container_directory(&record.id).join("work"),
            binds,
            read_only: record.host_config.readonly_rootfs,
        })
    }

    /// The name files that the container had when it ran, unless volumes take their places.
    fn name_file_places(&self, record: &Record) -> Vec<(PathBuf, &'static str)> {
        let mut files = self.joined_name_files(record);
        files.retain(|(_, place)| !record.mounts.iter().any(|mount| mount.destination == *place));
        files
    }
}

/// A failure with a container's files, with its kind and words.
pub(crate) fn path_error(error: PathError) -> Error {
    Error::Refused { kind: error.kind(), message: error.to_string() }
}
