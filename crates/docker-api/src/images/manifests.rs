//! `Descriptor` and `Manifests` of images that came from a registry or in a layout, and `GET /images/(name)/attestations`.

use berth_http::JsonList;
use engine::images::registry::{Descriptor, Platform};
use engine::images::{ManifestKind, ManifestSummary, Target};
use http::StatusCode;
use model::Digest;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::identity::Identity;
use super::{failure, platform};
use crate::version::Since;
use crate::{ApiError, Call, Handled, Reply};

/// The target of an image: its manifest or index.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTarget {
    media_type: String,
    digest: Digest,
    size: u64,
}

impl WireTarget {
    pub(super) fn new(target: &Target) -> Self {
        Self { media_type: target.media_type.clone(), digest: target.digest, size: target.size }
    }
}

/// Whether a field is not the version's, or there is nothing to show.
pub(super) fn is_left_out<const SINCE: u32, T>(field: &Since<SINCE, Option<T>>) -> bool {
    field.shown().is_none_or(Option::is_none)
}

/// One manifest of an index.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireManifest {
    #[serde(rename = "ID")]
    id: Digest,
    descriptor: Descriptor,
    available: bool,
    size: ManifestSize,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_data: Option<ImageData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation_data: Option<AttestationData>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestSize {
    content: u64,
    total: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageData {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    containers: Vec<String>,
    size: UnpackedSize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct UnpackedSize {
    unpacked: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttestationData {
    r#for: Digest,
}

/// All manifests of what an image came under; none of one that was made here.
pub(super) fn of(call: &Call<'_>, target: Option<&Target>) -> Result<Vec<WireManifest>, ApiError> {
    let Some(target) = target else { return Ok(Vec::new()) };
    let manifests = call.engine.images.store().manifests_of(target).map_err(failure)?;
    Ok(manifests.into_iter().map(|summary| WireManifest::new(call, summary)).collect())
}

impl WireManifest {
    fn new(call: &Call<'_>, summary: ManifestSummary) -> Self {
        let ManifestSummary { descriptor, kind, is_available, content } = summary;
        let unpacked = if let ManifestKind::Image { unpacked, .. } = &kind { *unpacked } else { 0 };
        let (kind, image_data, attestation_data) = match kind {
            ManifestKind::Image { image, platform, unpacked } => {
                let containers = image.map(|image| containers(call, &image)).unwrap_or_default();
                let size = UnpackedSize { unpacked };
                ("image", Some(ImageData { platform, identity: None, containers, size }), None)
            }
            ManifestKind::Attestation { of } => {
                ("attestation", None, of.map(|of| AttestationData { r#for: of }))
            }
            ManifestKind::Unknown => ("unknown", None, None),
        };
        Self {
            id: descriptor.digest,
            descriptor,
            available: is_available,
            size: ManifestSize { content, total: content + unpacked },
            kind,
            image_data,
            attestation_data,
        }
    }
}

/// Shows with each image where it comes from.
pub(super) fn identify(manifests: &mut [WireManifest], identity: Option<&Identity>) {
    for image in manifests.iter_mut().filter_map(|manifest| manifest.image_data.as_mut()) {
        image.identity = identity.cloned();
    }
}

fn containers(call: &Call<'_>, image: &Digest) -> Vec<String> {
    let all = call.engine.containers.all();
    let used = all.into_iter().map(|container| container.record()).filter(|record| record.image == *image);
    used.map(|record| record.id.to_string()).collect()
}

/// One statement on the making of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireStatement {
    descriptor: Descriptor,
    predicate_type: String,
}

/// The annotation with the kind of statement in a blob (BuildKit, "Image Attestation Storage").
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

pub(super) fn attestations(call: &Call<'_>) -> Handled {
    let platforms = platform::repeated(call)?;
    if platforms.len() > 1 {
        return Err(ApiError::bad_request("platform may be given once"));
    }
    let store = call.engine.images.store();
    let image = store.resolve_for(&call.name, platforms.first()).map_err(failure)?;
    let types = call.query.all("type");
    let is_asked = |kind: &String| types.is_empty() || types.contains(kind);
    let mut statements = JsonList::default();
    let target = store.target_called(&call.name, &image.id);
    let found = target.map(|target| store.statements_of(&image.id, &target)).transpose().map_err(failure)?;
    for found in found.unwrap_or_default() {
        let predicate_type = match found.descriptor.annotations.get(PREDICATE_TYPE) {
            Some(kind) => kind.clone(),
            None => predicate_type(found.content.as_deref()),
        };
        if !is_asked(&predicate_type) {
            continue;
        }
        let statement = found.content.filter(|_| call.query.is_true("statement"));
        let statement = statement.and_then(json_text);
        let wire = WireStatement { descriptor: found.descriptor, predicate_type };
        match statement {
            Some(statement) => statements.push_with(&wire, "Statement", statement.trim()),
            None => statements.push(&wire),
        }
    }
    Ok(Reply::Whole(statements.response(StatusCode::OK)))
}

/// A document as it was written, where it is JSON.
fn json_text(content: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(content).ok()?;
    serde_json::from_str::<IgnoredAny>(&text).is_ok().then_some(text)
}

/// The kind in the statement itself (in-toto attestation framework, "Statement").
fn predicate_type(content: Option<&[u8]>) -> String {
    let statement: Option<Value> = content.and_then(|content| serde_json::from_slice(content).ok());
    statement.and_then(|statement| statement["predicateType"].as_str().map(str::to_owned)).unwrap_or_default()
}
