//! Docker's schema 1: layers without their uncompressed digests, and a history of old configs.
//!
//! The config that newer engines use is made here from the history. A signed manifest's digest is that of its
//! payload, and the signature describes how to cut that out of the document (distribution specification,
//! "Signed Manifests").

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::{Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{LAYER_LIMIT, ManifestError};
use crate::document::History;

/// A schema 1 manifest.
#[derive(Debug)]
pub(in crate::registry) struct LegacyManifest {
    pub(in crate::registry) name: String,
    pub(in crate::registry) tag: String,
    /// The layers and steps, lowest first.
    pub(in crate::registry) layers: Vec<LegacyLayer>,
    /// The bytes that the digest is of.
    pub(in crate::registry) payload: Vec<u8>,
    /// The old config of the topmost layer.
    top: Map<String, Value>,
}

/// One layer, or one step that made none.
#[derive(Debug)]
pub(in crate::registry) struct LegacyLayer {
    pub(in crate::registry) blob: Digest,
    pub(in crate::registry) history: History,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    tag: String,
    fs_layers: Vec<WireLayer>,
    history: Vec<WireHistory>,
    #[serde(default)]
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLayer {
    blob_sum: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireHistory {
    v1_compatibility: String,
}

#[derive(Deserialize)]
struct WireSignature {
    protected: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Step {
    id: String,
    parent: String,
    created: Option<Timestamp>,
    author: String,
    comment: String,
    throwaway: bool,
    container_config: Option<StepConfig>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StepConfig {
    #[serde(rename = "Cmd")]
    command: Option<Vec<String>>,
}

impl LegacyManifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let wire: Wire = serde_json::from_slice(bytes)?;
        let count = wire.fs_layers.len();
        if count != wire.history.len() {
            let counts = format!("{count} layers but {} entries of history", wire.history.len());
            return Err(ManifestError::Inconsistent(counts));
        }
        if count > LAYER_LIMIT {
            return Err(ManifestError::TooManyLayers(count));
        }
        let Some(newest) = wire.history.first() else {
            return Err(ManifestError::Inconsistent("no layers".to_owned()));
        };
        let top = serde_json::from_str(&newest.v1_compatibility)?;
        let steps = wire
            .history
            .iter()
            .map(|entry| serde_json::from_str(&entry.v1_compatibility))
            .collect::<Result<Vec<Step>, _>>()?;
        check_chain(&steps)?;
        let payload = match wire.signatures.first() {
            Some(signature) => cut_payload(bytes, signature)?,
            None => bytes.to_vec(),
        };
        let layers = wire
            .fs_layers
            .iter()
            .zip(steps)
            .rev()
            .map(|(layer, step)| LegacyLayer { blob: layer.blob_sum, history: step.into_history() })
            .collect();
        Ok(Self { name: wire.name, tag: wire.tag, layers, payload, top })
    }

    /// Makes the current form of a config: the old one of the topmost layer, with layers and history.
    pub(in crate::registry) fn config(&self, diff_ids: &[Digest]) -> Result<Vec<u8>, ManifestError> {
        const GONE: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];
        let mut config = self.top.clone();
        for field in GONE {
            config.remove(field);
        }
        config.entry("architecture").or_insert_with(|| json!("amd64"));
        config.entry("os").or_insert_with(|| json!("linux"));
        let history: Vec<_> = self.layers.iter().map(|layer| &layer.history).collect();
        config.insert("history".to_owned(), serde_json::to_value(history)?);
        config.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": diff_ids}));
        Ok(serde_json::to_vec(&config)?)
    }
}

/// Each step's parent is the step below it.
fn check_chain(steps: &[Step]) -> Result<(), ManifestError> {
    for pair in steps.windows(2) {
        let [child, parent] = pair else { continue };
        if child.id.is_empty() || child.parent != parent.id {
            let reason = format!("the parent of {:?} is {:?}, not {:?}", child.id, child.parent, parent.id);
            return Err(ManifestError::Inconsistent(reason));
        }
    }
    match steps.last() {
        Some(lowest) if !lowest.parent.is_empty() => {
            let reason = format!("the lowest layer has the parent {:?}", lowest.parent);
            Err(ManifestError::Inconsistent(reason))
        }
        _ => Ok(()),
    }
}

impl Step {
    fn into_history(self) -> History {
        let command = self.container_config.and_then(|config| config.command).unwrap_or_default();
        History {
            created: self.created,
            author: self.author,
            created_by: command.join(" "),
            comment: self.comment,
            empty_layer: self.throwaway,
        }
    }
}

/// Cuts the signatures out of a signed manifest.
fn cut_payload(bytes: &[u8], signature: &WireSignature) -> Result<Vec<u8>, ManifestError> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    let broken = |reason: String| ManifestError::Inconsistent(format!("the signature is broken: {reason}"));
    let decode = |text: &str| URL_SAFE.decode(text).map_err(|error| broken(error.to_string()));
    let protected: Protected = serde_json::from_slice(&decode(&signature.protected)?)?;
    let head = bytes
        .get(..protected.format_length)
        .ok_or_else(|| broken("its length is beyond the document".to_owned()))?;
    let mut payload = head.to_vec();
    payload.extend(decode(&protected.format_tail)?);
    // The payload must itself be the manifest that was read, or the digest proves nothing.
    let signed: Value = serde_json::from_slice(&payload)?;
    let mut whole: Value = serde_json::from_slice(bytes)?;
    if let Value::Object(fields) = &mut whole {
        fields.remove("signatures");
    }
    if signed != whole {
        return Err(broken("it signs another manifest".to_owned()));
    }
    Ok(payload)
}
