//! `GET /images/(name)/json`

use std::collections::BTreeMap;

use engine::images::ImageDetails;
use engine::images::document;
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;

use super::failure;
use crate::container_settings::Config;
use crate::wire::STORAGE_DRIVER;
use crate::{Call, Handled, Reply};

pub(super) fn inspect(call: &Call<'_>) -> Handled {
    let details = call.engine.images.store().inspect(&call.name).map_err(failure)?;
    Reply::json(StatusCode::OK, &ImageInspection::from(details))
}

/// An image in the documented form; `RepoTags` and `RepoDigests` are for newer clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageInspection {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: String,
    comment: String,
    created: Timestamp,
    container: String,
    container_config: Config,
    docker_version: String,
    author: String,
    config: Config,
    architecture: String,
    os: String,
    size: u64,
    virtual_size: u64,
    graph_driver: GraphDriver,
}

/// Where the files of an image are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    name: &'static str,
    data: BTreeMap<&'static str, String>,
}

impl From<ImageDetails> for ImageInspection {
    fn from(details: ImageDetails) -> Self {
        let ImageDetails { image, tags, digests, top_layer } = details;
        let config = image.config;
        let data = top_layer.map(|directory| ("RootDir", directory.display().to_string()));
        Self {
            id: image.id.hexadecimal(),
            repo_tags: tags,
            repo_digests: digests,
            parent: image.parent.map(|parent| parent.hexadecimal()).unwrap_or_default(),
            comment: config.comment,
            created: image.created,
            container: config.container,
            container_config: shown(config.container_config),
            docker_version: config.docker_version,
            author: config.author,
            config: shown(config.config),
            architecture: config.architecture,
            os: config.os,
            size: image.size,
            virtual_size: image.virtual_size,
            graph_driver: GraphDriver { name: STORAGE_DRIVER, data: data.into_iter().collect() },
        }
    }
}

/// What an image says of its containers, as clients see it.
fn shown(config: Option<document::Config>) -> Config {
    config.map(|config| Config::of(&config.into_defaults())).unwrap_or_default()
}
