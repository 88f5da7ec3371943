//! The `json` members of the v1.20 layout, and how config documents travel in them.

use model::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::document::Config;
use crate::store::digest_of;

/// A tar without entries.
pub(crate) const EMPTY_TAR: [u8; 1024] = [0; 1024];

/// The content of a `json` member; unknown fields are ignored.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct V1Image {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) parent: Option<String>,
    #[serde(default)]
    pub(crate) created: Option<Timestamp>,
    #[serde(default)]
    pub(crate) container: Option<String>,
    #[serde(default)]
    pub(crate) container_config: Option<Config>,
    #[serde(default)]
    pub(crate) config: Option<Config>,
    #[serde(default)]
    pub(crate) docker_version: Option<String>,
    #[serde(default)]
    pub(crate) author: Option<String>,
    #[serde(default)]
    pub(crate) comment: Option<String>,
    #[serde(default)]
    pub(crate) architecture: Option<String>,
    #[serde(default)]
    pub(crate) os: Option<String>,
    /// Set in directories that only carry a layer.
    #[serde(default)]
    pub(crate) layer_only: bool,
}

/// The `json` of a layer that has no image of its own.
#[derive(Debug, Serialize)]
pub(crate) struct LayerJson<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    created: Timestamp,
    container_config: Config,
    os: &'static str,
    architecture: &'static str,
    layer_only: bool,
}

impl<'a> LayerJson<'a> {
    /// Derives the id from what is below and the layer itself.
    pub(crate) fn new(parent: Option<&'a str>, layer: Digest, created: Timestamp) -> Self {
        let id = digest_of(format!("layer {} {layer}", parent.unwrap_or_default()).as_bytes()).hexadecimal();
        Self {
            id,
            parent,
            created,
            container_config: Config::default(),
            os: "linux",
            architecture: crate::architecture(),
            layer_only: true,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn document(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|source| Error::Document { name: "json".to_owned(), source })
    }
}

/// Puts id, parent and size in front of a config document's fields.
pub(crate) fn spliced_json(id: &str, parent: Option<&str>, size: u64, document: &[u8]) -> Vec<u8> {
    let parent = parent.map(|parent| format!("\"parent\":\"{parent}\",")).unwrap_or_default();
    let head = format!("{{\"id\":\"{id}\",{parent}\"Size\":{size},");
    let rest = document.trim_ascii_start().strip_prefix(b"{").unwrap_or(document);
    [head.as_bytes(), rest].concat()
}

/// Takes out what [`spliced_json`] put in; `None` when it is not of that form.
pub(crate) fn unspliced(json: &[u8]) -> Option<Vec<u8>> {
    let rest = json.strip_prefix(b"{\"id\":\"")?;
    let rest = rest.get(64..)?.strip_prefix(b"\",")?;
    let rest = match rest.strip_prefix(b"\"parent\":\"") {
        Some(parent) => parent.get(64..)?.strip_prefix(b"\",")?,
        None => rest,
    };
    let digits = rest.strip_prefix(b"\"Size\":")?;
    let comma = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    let rest = digits[comma..].strip_prefix(b",")?;
    Some([b"{", rest].concat())
}

/// The config document that a tool took from a `json` member as it stood, with id and parent in
/// it, and the parent: other programs then call the image differently, here it is the same again.
pub(crate) fn original(document: &[u8]) -> Option<(Vec<u8>, Option<Digest>)> {
    let image: V1Image = serde_json::from_slice(document).ok()?;
    let original = unspliced(document).filter(|original| digest_of(original).hexadecimal() == image.id)?;
    let parent = image.parent.and_then(|parent| Digest::parse_hexadecimal(&parent).ok());
    Some((original, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_back_byte_for_byte() {
        for document in ["{\"a\":1}", "{\n  \"a\": 1\n}\n"] {
            for parent in [None, Some("ab".repeat(32))] {
                let json = spliced_json(&"cd".repeat(32), parent.as_deref(), 7, document.as_bytes());
                let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
                assert_eq!(value["a"], 1);
                assert_eq!(unspliced(&json).as_deref(), Some(document.as_bytes()));
            }
        }
        assert_eq!(unspliced(b"{\"id\":\"x\"}"), None);
        assert_eq!(unspliced(b"{}"), None);
    }
}
