//! `GET /images/(name)/json`

use std::collections::BTreeMap;

use engine::images::Image;
use http::StatusCode;
use model::{Config, Timestamp};
use serde::Serialize;

use super::failure;
use crate::api::{Call, Handled, Reply};

/// The answer, with the fields and their order as the reference has them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageInspection<'a> {
    id: String,
    parent: String,
    comment: &'a str,
    created: Timestamp,
    container: &'a str,
    container_config: &'a Config,
    docker_version: &'a str,
    author: &'a str,
    config: Option<&'a Config>,
    architecture: &'a str,
    os: &'a str,
    size: u64,
    virtual_size: u64,
    graph_driver: GraphDriver,
    /// What newer clients show of an image.
    repo_tags: Vec<String>,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    name: &'static str,
    data: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    #[serde(rename = "Type")]
    kind: &'static str,
    layers: Vec<String>,
}

pub(super) fn inspect(call: &Call<'_>) -> Handled {
    let images = call.engine.images();
    let image = images.resolve(&call.name).map_err(failure)?;
    let empty = Config::default();
    let directories = images.lower_directories(&image);
    let root = directories.first().map(|directory| directory.display().to_string()).unwrap_or_default();
    Reply::json(StatusCode::OK, &inspection(&image, &empty, root, images.tags_of(&image.id)))
}

fn inspection<'a>(
    image: &'a Image,
    empty: &'a Config,
    root: String,
    repo_tags: Vec<String>,
) -> ImageInspection<'a> {
    let config = &image.config;
    ImageInspection {
        id: image.id.hexadecimal(),
        parent: image.parent.as_ref().map(model::Digest::hexadecimal).unwrap_or_default(),
        comment: &config.comment,
        created: image.created,
        container: &config.container,
        container_config: config.container_config.as_ref().unwrap_or(empty),
        docker_version: &config.docker_version,
        author: &config.author,
        config: config.config.as_ref(),
        architecture: &config.architecture,
        os: &config.os,
        size: image.size,
        virtual_size: image.virtual_size,
        graph_driver: GraphDriver { name: "overlay", data: [("RootDir", root)].into() },
        repo_tags,
        root_fs: RootFs {
            kind: "layers",
            layers: config.rootfs.diff_ids.iter().map(ToString::to_string).collect(),
        },
    }
}

/// `GET /images/(name)/history`
pub(super) fn history(call: &Call<'_>) -> Handled {
    Reply::json(StatusCode::OK, &call.engine.images().history(&call.name).map_err(failure)?)
}
