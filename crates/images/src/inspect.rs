//! Shows one image as `GET /images/(name)/json` does.

use std::collections::BTreeMap;

use model::Timestamp;
use serde::Serialize;

use crate::Error;
use crate::document::Config;
use crate::store::{Image, Store};

/// An image in the documented form; `RepoTags` and `RepoDigests` are for newer clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct InspectedImage {
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    pub created: Timestamp,
    pub container: String,
    pub container_config: Config,
    pub docker_version: String,
    pub author: String,
    pub config: Config,
    pub architecture: String,
    pub os: String,
    pub size: u64,
    pub virtual_size: u64,
    pub graph_driver: GraphDriver,
}

/// Where the files of an image or container are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphDriver {
    /// Always `overlay`.
    pub name: String,
    /// Directories by role.
    pub data: BTreeMap<String, String>,
}

/// The name of the way layers are stacked, as `info` and inspect show it.
pub const DRIVER: &str = "overlay";

impl Store {
    /// Shows the image that a text names.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub fn inspect(&self, text: &str) -> Result<InspectedImage, Error> {
        let image = self.resolve(text)?;
        let (repo_tags, repo_digests) = {
            let index = self.index();
            let tags = index.tags_of(&image.id).into_iter().map(|(name, tag)| format!("{name}:{tag}"));
            let digests =
                index.digests_of(&image.id).into_iter().map(|(name, digest)| format!("{name}@{digest}"));
            (tags.collect(), digests.collect())
        };
        let root = self.lower_directories(&image).into_iter().next();
        let data = root.map(|root| ("RootDir".to_owned(), root.display().to_string()));
        let Image { id, parent, created, size, virtual_size, config, .. } = image;
        Ok(InspectedImage {
            id: id.hexadecimal(),
            repo_tags,
            repo_digests,
            parent: parent.map(|parent| parent.hexadecimal()).unwrap_or_default(),
            comment: config.comment,
            created,
            container: config.container,
            container_config: config.container_config.unwrap_or_default(),
            docker_version: config.docker_version,
            author: config.author,
            config: config.config.unwrap_or_default(),
            architecture: config.architecture,
            os: config.os,
            size,
            virtual_size,
            graph_driver: GraphDriver { name: DRIVER.to_owned(), data: data.into_iter().collect() },
        })
    }
}
