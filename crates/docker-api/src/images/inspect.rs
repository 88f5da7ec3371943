//! `GET /images/(name)/json`

use engine::images::ImageDetails;
use engine::images::document;
use http::StatusCode;
use model::{Digest, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::identity::Identity;
use super::manifests::{self, WireManifest, WireTarget, is_left_out};
use super::{failure, image_config, platform};
use crate::container_settings::Config;
use crate::version::{ApiVersion, Ranged, Since, Until};
use crate::wire::{GraphDriver, image_id};
use crate::{ApiError, Call, Handled, Reply};

pub(super) fn inspect(call: &Call<'_>) -> Handled {
    let wanted = if call.version.inspect_has_a_platform() { platform::asked(call)? } else { None };
    let asks_for_manifests = call.version.inspect_has_manifests() && call.query.is_true("manifests");
    if asks_for_manifests && wanted.is_some() {
        return Err(ApiError::bad_request(
            "conflicting options: manifests and platform cannot both be given",
        ));
    }
    let details = call.engine.images.store().inspect(&call.name, wanted.as_ref()).map_err(failure)?;
    let found = asks_for_manifests.then(|| manifests::of(call, details.target.as_ref())).transpose()?;
    let found = found.filter(|found| !found.is_empty());
    Reply::json(
        StatusCode::OK,
        &ImageInspection { manifests: found, ..ImageInspection::new(details, call.version) },
    )
}

/// An image in the documented form; `RepoTags` and `RepoDigests` are for newer clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageInspection {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    container: Until<45, String>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    container_config: Until<45, Value>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    docker_version: Until<52, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    config: Value,
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    os_version: String,
    size: u64,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    virtual_size: Until<44, u64>,
    graph_driver: GraphDriver,
    #[serde(rename = "RootFS", skip_serializing_if = "Ranged::is_absent")]
    root: Since<22, RootFs>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    metadata: Since<31, Metadata>,
    #[serde(skip_serializing_if = "is_left_out")]
    descriptor: Since<48, Option<WireTarget>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Vec<WireManifest>>,
    #[serde(skip_serializing_if = "is_left_out")]
    identity: Since<53, Option<Identity>>,
}

/// The layers of an image, lowest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Digest>,
}

/// The engine's own metadata of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    last_tag_time: Timestamp,
}

impl ImageInspection {
    fn new(details: ImageDetails, version: ApiVersion) -> Self {
        let ImageDetails { image, tags, digests, last_tagged, target, top_layer } = details;
        let config = image.config;
        let data = top_layer.map(|directory| ("RootDir", directory.display().to_string()));
        let is_shown = |text: &String| !text.is_empty() || !version.image_inspect_leaves_out_what_is_empty();
        let filled = |text: String| Some(text).filter(is_shown);
        // Builds of BuildKit's protocol comment on steps alone.
        let last = || config.history.last().map(|step| step.comment.clone()).unwrap_or_default();
        let comment = if config.comment.is_empty() { last() } else { config.comment.clone() };
        let container_config = shown(config.container_config);
        let args_escaped = config.config.as_ref().is_some_and(|config| config.args_escaped);
        Self {
            id: image_id(&image.id, version),
            identity: Ranged::at(version, || Identity::of(&digests)),
            repo_tags: tags,
            repo_digests: digests,
            parent: filled(image.parent.map(|parent| image_id(&parent, version)).unwrap_or_default()),
            comment: filled(comment),
            created: Some(image.created)
                .filter(|created| *created != Timestamp::NEVER || !version.images_without_a_date_show_none()),
            container: Ranged::at(version, || config.container),
            container_config: Ranged::at(version, || image_config::shown(&container_config, version)),
            docker_version: Ranged::at(version, || config.docker_version),
            author: filled(config.author),
            config: image_config::shown_of_image(&shown(config.config), args_escaped, version),
            architecture: config.architecture,
            variant: config.variant,
            os: config.os,
            os_version: config.os_version,
            size: if version.image_size_is_of_all_layers() { image.virtual_size } else { image.size },
            virtual_size: Ranged::at(version, || image.virtual_size),
            graph_driver: GraphDriver::with(data.into_iter().collect()),
            root: Ranged::at(version, || RootFs { kind: "layers", layers: config.rootfs.diff_ids }),
            metadata: Ranged::at(version, || Metadata {
                last_tag_time: last_tagged.unwrap_or(Timestamp::NEVER),
            }),
            descriptor: Ranged::at(version, || target.as_ref().map(WireTarget::new)),
            manifests: None,
        }
    }
}

/// An image's configuration for its containers, as clients see it.
fn shown(config: Option<document::Config>) -> Config {
    config.map(|config| Config::of(&config.into_defaults())).unwrap_or_default()
}
