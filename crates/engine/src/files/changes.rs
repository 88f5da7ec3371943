//! A container's changes to its image, its sizes, and the images made of it.

use std::path::PathBuf;
use std::sync::Arc;

use images::document::Config;
use images::{Change, CommitRequest, Image};
use model::{EventAction, ImageReference};

use super::mount_points::mount_points;
use super::service::Files;
use crate::container::Record;
use crate::error::Error;
use crate::layer_size;
use crate::outcome::joined;

/// How an image is made of a container.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The new image's config; what it leaves open the container's own fills in.
    pub config: Config,
    /// Its name.
    pub reference: Option<ImageReference>,
    /// The author.
    pub author: String,
    /// The commit's message.
    pub comment: String,
    /// Whether the container is frozen meanwhile.
    pub pause: bool,
    /// Whether the pause and the name are events too.
    pub has_more_events: bool,
    /// The engine's version, kept in the image.
    pub engine_version: String,
}

impl Files {
    /// Lists what a container changed.
    ///
    /// # Errors
    /// Unknown container, or layers that cannot be read.
    pub async fn changes(self: &Arc<Self>, reference: &str) -> Result<Vec<Change>, Error> {
        let container = self.directory.find(reference)?;
        let (files, record) = (Arc::clone(self), container.record());
        let own = Arc::clone(&container);
        let work = tokio::task::spawn_blocking(move || {
            let _held = files.hold(&own)?;
            let lower = files.images.lower_directories(&record)?;
            images::changes(&files.paths.upper(&record.id), &lower, &mount_points(&record))
                .map_err(Error::Image)
        });
        joined(work.await)?.map_err(|error| self.unless_gone(&container, reference, error))
    }

    /// Bytes of a container's own layer, and of all that it sees of its root: its own layer alone when its
    /// image was removed by force. Nothing when the container is gone meanwhile.
    ///
    /// # Errors
    /// Layers that cannot be read.
    pub async fn sizes(self: &Arc<Self>, record: &Arc<Record>) -> Result<Option<(u64, u64)>, Error> {
        let (files, record) = (Arc::clone(self), Arc::clone(record));
        let work = tokio::task::spawn_blocking(move || {
            let own = layer_size::of_container(&files.paths, &record.id);
            let is_here = files.directory.get(&record.id).is_some_and(|container| !container.is_going());
            let of_image = files.images.store().virtual_size_of(&record.image).unwrap_or(0);
            if !is_here {
                return Ok(None);
            }
            own.map(|own| Some((own.bytes, own.bytes + of_image)))
        });
        joined(work.await)?
    }

    /// Makes an image of a container.
    ///
    /// # Errors
    /// Unknown container, or changes that cannot be read or stored.
    pub async fn commit(self: &Arc<Self>, reference: &str, commit: Commit) -> Result<Image, Error> {
        let container = self.directory.find(reference)?;
        let (files, reference) = (Arc::clone(self), reference.to_owned());
        crate::outcome::finish(async move {
            let frozen = match commit.pause {
                true => files.freezer.freeze_for_work(&container).await?,
                false => None,
            };
            let (worker, own, record) = (Arc::clone(&files), Arc::clone(&container), container.record());
            let has_more_events = commit.has_more_events;
            if has_more_events && frozen.as_ref().is_some_and(|work| work.is_first) {
                files.events.emit_container(&record, EventAction::Pause, &[]);
            }
            let name = commit.reference.as_ref().map(ToString::to_string).unwrap_or_default();
            let comment = commit.comment.clone();
            let work = tokio::task::spawn_blocking(move || {
                let _held = worker.hold(&own)?;
                worker.commit_record(&record, commit)
            });
            let image = joined(work.await).and_then(|image| image);
            let thawed = match frozen {
                Some(work) => files.freezer.thaw(&container, work).await,
                None => false,
            };
            if let Ok(image) = &image {
                if has_more_events && !name.is_empty() {
                    files.images.emit(EventAction::Tag, &image.id, &name);
                }
                let more = [("comment", comment), ("imageID", image.id.to_string()), ("imageRef", name)];
                files.events.emit_container(&container.record(), EventAction::Commit, &more);
            }
            if thawed && has_more_events {
                files.events.emit_container(&container.record(), EventAction::Unpause, &[]);
            }
            image.map_err(|error| files.unless_gone(&container, &reference, error))
        })
        .await
    }

    fn commit_record(&self, record: &Record, commit: Commit) -> Result<Image, Error> {
        let parent = self.images.store().image(&record.image).map_err(Error::Image)?;
        let container_config = Config::of(&record.settings);
        let mut settings = commit.config.into_defaults();
        crate::container::settings::merge_image(&mut settings, container_config.clone());
        let request = CommitRequest {
            parent: &parent,
            upper: &self.paths.upper(&record.id),
            mount_points: &mount_points(record),
            config: Config::of(&settings),
            container_config,
            container: record.id.to_string(),
            author: commit.author,
            comment: commit.comment,
            engine_version: commit.engine_version,
            reference: commit.reference.as_ref(),
        };
        self.images.store().commit(&request).map_err(Error::Image)
    }

    /// The layers of a container's root, its own first.
    pub(crate) fn stacked_directories(&self, record: &Record) -> Result<Vec<PathBuf>, Error> {
        let mut layers = vec![self.paths.upper(&record.id)];
        layers.extend(self.images.lower_directories(record)?);
        Ok(layers)
    }
}
