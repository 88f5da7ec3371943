//! What a container changed of its image, its sizes, and the images made of it.

use std::path::PathBuf;
use std::sync::Arc;

use images::{Change, CommitRequest, Image};
use model::{Config, ImageReference};

use crate::container::{Record, mounts};
use crate::engine::Engine;
use crate::error::Error;
use crate::outcome::joined;

/// Where the runtime mounts something in every container.
const MOUNT_POINTS: [&str; 12] = [
    // Nothing is mounted there, but the runtime makes it as it makes the others.
    "/.dockerenv",
    "/proc",
    "/sys",
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/dev/console",
    "/etc/resolv.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/sys/fs/cgroup",
];

/// How an image is made of a container.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The new image's config; what it leaves open the container's own fills in.
    pub config: Config,
    /// Its name.
    pub reference: Option<ImageReference>,
    /// Who made it.
    pub author: String,
    /// What for.
    pub comment: String,
    /// Whether the container is frozen meanwhile.
    pub pause: bool,
    /// The engine's version, kept in the image.
    pub engine_version: String,
}

impl Engine {
    /// Lists what a container changed.
    ///
    /// # Errors
    /// Unknown container, or layers that cannot be read.
    pub async fn changes(self: &Arc<Self>, reference: &str) -> Result<Vec<Change>, Error> {
        let record = self.find(reference)?.record();
        let engine = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let lower = engine.lower_directories(&record)?;
            images::changes(&engine.upper(&record), &lower, &mount_points(&record)).map_err(Error::Image)
        });
        joined(work.await)?
    }

    /// Bytes of a container's own layer, and of all that it sees of its root.
    ///
    /// # Errors
    /// Layers that cannot be read.
    pub async fn sizes(self: &Arc<Self>, record: &Arc<Record>) -> Result<(u64, u64), Error> {
        let (engine, record) = (Arc::clone(self), Arc::clone(record));
        let work = tokio::task::spawn_blocking(move || {
            let own = images::tree_size(&engine.upper(&record)).map_err(Error::Image)?;
            let image = engine.images.image(&record.image).map_err(Error::Image)?;
            Ok((own, own + image.virtual_size))
        });
        joined(work.await)?
    }

    /// Makes an image of a container.
    ///
    /// # Errors
    /// Unknown container, or changes that cannot be read or stored.
    pub async fn commit(self: &Arc<Self>, reference: &str, commit: Commit) -> Result<Image, Error> {
        let container = self.find(reference)?;
        let engine = Arc::clone(self);
        crate::outcome::finish(async move {
            let frozen = commit.pause && engine.freeze_for_work(&container).await?;
            let (worker, record) = (Arc::clone(&engine), container.record());
            let work = tokio::task::spawn_blocking(move || worker.commit_record(&record, commit));
            let image = joined(work.await).and_then(|image| image);
            if frozen {
                engine.thaw(&container).await;
            }
            let image = image?;
            let more = [("imageID", image.id.hexadecimal())];
            engine.emit(&container.record(), "commit", &more);
            Ok(image)
        })
        .await
    }

    fn commit_record(&self, record: &Record, commit: Commit) -> Result<Image, Error> {
        let parent = self.images.image(&record.image).map_err(Error::Image)?;
        let mut config = commit.config;
        crate::container::settings::merge_image(&mut config, &record.config);
        let request = CommitRequest {
            parent: &parent,
            upper: &self.upper(record),
            mount_points: &mount_points(record),
            config,
            container_config: record.config.clone(),
            container: record.id.to_string(),
            author: commit.author,
            comment: commit.comment,
            engine_version: commit.engine_version,
            reference: commit.reference.as_ref(),
        };
        self.images.commit(&request).map_err(Error::Image)
    }

    /// The container's own layer.
    pub(crate) fn upper(&self, record: &Record) -> PathBuf {
        self.container_directory(&record.id).join("upper")
    }

    /// The layers of a container's root, its own first.
    pub(crate) fn stacked_directories(&self, record: &Record) -> Result<Vec<PathBuf>, Error> {
        let mut layers = vec![self.upper(record)];
        layers.extend(self.lower_directories(record)?);
        Ok(layers)
    }
}

/// Every place in the container at which something is mounted.
pub(crate) fn mount_points(record: &Record) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = MOUNT_POINTS.iter().map(PathBuf::from).collect();
    points.extend(record.mounts.iter().map(|mount| mounts::clean(&mount.destination)));
    points.extend(
        record.host_config.tmpfs.iter().flat_map(|tmpfs| tmpfs.keys()).map(|path| mounts::clean(path)),
    );
    let targets = record.host_config.mounts.iter().flatten().map(|mount| mounts::clean(&mount.target));
    points.extend(targets);
    points
}
