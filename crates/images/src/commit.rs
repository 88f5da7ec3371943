//! Makes an image of a container's changes.

use std::path::{Path, PathBuf};

use model::{ImageReference, Timestamp};

use crate::Error;
use crate::document::{Config, History, ImageConfig, RootFs};
use crate::import::{architecture, serialise};
use crate::store::{Image, Naming, NewImage, Origin, Store};

/// The request for a commit.
#[derive(Debug)]
pub struct CommitRequest<'a> {
    /// The image the container was made of.
    pub parent: &'a Image,
    /// The container's own layer: overlay's upper directory. It stays as it is.
    pub upper: &'a Path,
    /// Paths inside the container at which the engine mounts something: the empty files and
    /// directories that serve as mount points there are left out.
    pub mount_points: &'a [PathBuf],
    /// The new image's config.
    pub config: Config,
    /// The container's config.
    pub container_config: Config,
    /// The container's id.
    pub container: String,
    /// The author.
    pub author: String,
    /// The commit's message.
    pub comment: String,
    /// The program's version for `DockerVersion`.
    pub engine_version: String,
    /// The name; one that names another image moves.
    pub reference: Option<&'a ImageReference>,
}

impl Store {
    /// Makes an image of a container's changes, on top of the container's image.
    ///
    /// # Errors
    /// `Internal` when the changes cannot be read or stored; nothing stays then.
    pub fn commit(&self, request: &CommitRequest<'_>) -> Result<Image, Error> {
        let mut layers = self.layers(request.parent)?;
        let below = self.lower_directories(request.parent);
        layers.push(self.copy_container_layer(request.upper, &below, request.mount_points)?);
        let created = Timestamp::now();
        let mut history = request.parent.config.history.clone();
        let command = request.container_config.cmd.as_ref();
        history.push(History {
            created: Some(created),
            author: request.author.clone(),
            created_by: command.map(|command| command.0.join(" ")).unwrap_or_default(),
            comment: request.comment.clone(),
            empty_layer: false,
        });
        let document = ImageConfig {
            architecture: or_own(&request.parent.config.architecture, architecture()),
            os: or_own(&request.parent.config.os, "linux"),
            variant: request.parent.config.variant.clone(),
            os_version: request.parent.config.os_version.clone(),
            author: request.author.clone(),
            comment: request.comment.clone(),
            container: request.container.clone(),
            config: Some(request.config.clone()),
            container_config: Some(request.container_config.clone()),
            created: Some(created),
            docker_version: request.engine_version.clone(),
            history,
            steps: Vec::new(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: layers.iter().map(crate::Layer::diff_id).collect(),
            },
        };
        let config = serialise(&document)?;
        let parent = Some(request.parent.id);
        let new = NewImage {
            config: &config,
            layers: &layers,
            parent,
            legacy: None,
            origin: Origin::Here,
            target: None,
        };
        let names: Vec<_> = request.reference.into_iter().map(Naming::Tag).collect();
        Ok(self.publish(&new, &names)?.image)
    }
}

/// The parent's value; this machine's where that is empty.
fn or_own(parents: &str, own: &str) -> String {
    if parents.is_empty() { own } else { parents }.to_owned()
}
