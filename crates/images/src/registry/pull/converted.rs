//! Finds the image of a converted manifest's digest.
//!
//! To clients that do not request schema 2, registries return a conversion into schema 1 that is made on the
//! spot and not stored: a digest that such a client received cannot be fetched. It can be found all the same:
//! the conversion of each tag is requested and has this digest, or not. Where the tag's own manifest
//! describes the same image field by field, that one is pulled, and the image has the id that it has by its
//! tag.

use model::{Digest, ImageReference, Timestamp};
use serde_json::Value;

use super::resolve::{Resolved, fetch, fetch_blob, resolve, tags};
use crate::document::History;
use crate::registry::error::RegistryError;
use crate::registry::manifest::{
    ImageManifest, LEGACY, LEGACY_SIGNED, LegacyManifest, Manifest, ManifestError, Platform,
};
use crate::registry::session::Session;
use crate::store::digest_of;

/// How many tags are tried.
const TAG_LIMIT: usize = 100;

/// Searches a tag whose conversion has the digest; `None` when the registry has none or does not convert.
pub(super) fn find(
    session: &Session<'_>,
    platform: &Platform,
    reference: &ImageReference,
    wanted: Digest,
) -> Result<Option<Resolved>, RegistryError> {
    match search(session, platform, reference, wanted) {
        Err(RegistryError::Cancelled) => Err(RegistryError::Cancelled),
        Err(error) => {
            tracing::debug!(%error, "the registry's conversions cannot be fetched");
            Ok(None)
        }
        found => found,
    }
}

fn search(
    session: &Session<'_>,
    platform: &Platform,
    reference: &ImageReference,
    wanted: Digest,
) -> Result<Option<Resolved>, RegistryError> {
    for tag in tags(session, reference, TAG_LIMIT)?.into_iter().take(TAG_LIMIT) {
        let label = tag.to_string();
        let by_tag = ImageReference { tag: Some(tag), digest: None, ..reference.clone() };
        let (document, manifest) = fetch(session, &by_tag, &label, None, &[LEGACY_SIGNED, LEGACY])?;
        let Manifest::Legacy(legacy) = manifest else { return Ok(None) };
        if digest_of(&document) != wanted {
            continue;
        }
        let manifest = match resolve(session, platform, &by_tag, &label)?.manifest {
            Manifest::Image(image) if is_same(session, &legacy, &image)? => Manifest::Image(image),
            Manifest::Image(_) | Manifest::Index(_) | Manifest::Legacy(_) => Manifest::Legacy(legacy),
        };
        return Resolved::alone(wanted, document, manifest).map(Some);
    }
    Ok(None)
}

/// Whether a conversion, whose digest matches, describes the image of a manifest.
fn is_same(
    session: &Session<'_>,
    converted: &LegacyManifest,
    image: &ImageManifest,
) -> Result<bool, RegistryError> {
    let blobs = converted.layers.iter().filter(|layer| !layer.history.empty_layer).map(|layer| layer.blob);
    if !blobs.eq(image.layers.iter().map(|layer| layer.digest)) {
        return Ok(false);
    }
    let config = fetch_blob(session, &image.config)?;
    Ok(describes(converted, &config)?)
}

/// Whether a conversion matches a config, except for how its topmost step came about, which conversions leave
/// out.
fn describes(converted: &LegacyManifest, config: &[u8]) -> Result<bool, ManifestError> {
    let config: Value = serde_json::from_slice(config)?;
    let diff_ids: Vec<Digest> = serde_json::from_value(config["rootfs"]["diff_ids"].clone())?;
    let made: Value = serde_json::from_slice(&converted.config(&diff_ids)?)?;
    Ok(comparable(config)? == comparable(made)?)
}

/// A config without its history, and that history without what a conversion does not keep.
fn comparable(mut config: Value) -> Result<(Value, Vec<History>), ManifestError> {
    let history = config.as_object_mut().and_then(|fields| fields.remove("history")).unwrap_or(Value::Null);
    let mut history: Vec<History> = serde_json::from_value::<Option<_>>(history)?.unwrap_or_default();
    for step in &mut history {
        // Conversions write a time for steps that have none.
        step.created = step.created.filter(|created| *created != Timestamp::NEVER);
    }
    if let Some(top) = history.last_mut() {
        *top = History { empty_layer: top.empty_layer, ..History::default() };
    }
    Ok((config, history))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conversion(command: &str) -> LegacyManifest {
        let blob = |digit: &str| json!({ "blobSum": format!("sha256:{}", digit.repeat(64)) });
        let entry = |fields: Value| json!({ "v1Compatibility": fields.to_string() });
        let document = json!({
            "schemaVersion": 1, "name": "a", "tag": "t", "architecture": "amd64",
            "fsLayers": [blob("b"), blob("a")],
            "history": [
                entry(json!({ "id": "2", "parent": "1", "architecture": "amd64", "os": "linux", "throwaway": true,
                              "config": { "Cmd": [command] } })),
                entry(json!({ "id": "1", "created": "0001-01-01T00:00:00Z",
                              "container_config": { "Cmd": ["import"] } })),
            ],
        });
        match Manifest::parse(None, document.to_string().as_bytes()).unwrap() {
            Manifest::Legacy(legacy) => legacy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_conversion_describes_the_config_it_was_made_of() {
        let config = |command: &str, below: &str| {
            json!({
                "architecture": "amd64", "os": "linux", "config": { "Cmd": [command] },
                "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", "c".repeat(64))] },
                "history": [{ "created_by": below }, { "created_by": "CMD", "empty_layer": true }],
            })
            .to_string()
        };
        let describes = |config: String| describes(&conversion("sh"), config.as_bytes()).unwrap();
        assert!(describes(config("sh", "import")));
        assert!(!describes(config("evil", "import")), "another command");
        assert!(!describes(config("sh", "something else")), "another history");
    }
}
