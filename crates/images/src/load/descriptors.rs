//! Parses documents that list descriptors; the error names the malformed one (OCI image specification, "Content
//! Descriptors").

use model::Digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;

use crate::store::parse_document;
use crate::{Error, Inconsistency};

/// So many characters of a wrong value are shown.
const SHOWN: usize = 100;

/// An index, or a manifest.
#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    manifests: Vec<Listed>,
    #[serde(default)]
    config: Option<Listed>,
    #[serde(default)]
    layers: Vec<Listed>,
}

/// A descriptor whose values may be any.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    size: Option<Number>,
}

/// Parses a document that lists descriptors.
///
/// # Errors
/// What is wrong with the first descriptor that is, or where the document is no JSON of this form.
pub(super) fn parse<T: DeserializeOwned>(place: &str, document: &[u8]) -> Result<T, Error> {
    parse_document(place, document).map_err(|error| fault(place, document).map_or(error, Error::from))
}

fn fault(place: &str, document: &[u8]) -> Option<Inconsistency> {
    let listing: Listing = serde_json::from_slice(document).ok()?;
    let mut listed = listing.manifests.iter().chain(&listing.config).chain(&listing.layers);
    listed.find_map(|listed| listed.fault(place))
}

impl Listed {
    fn fault(&self, place: &str) -> Option<Inconsistency> {
        let place = place.to_owned();
        let Some(digest) = &self.digest else { return Some(Inconsistency::NoDigest(place)) };
        if Digest::parse(digest).is_err() {
            let value = digest.chars().take(SHOWN).collect();
            return Some(Inconsistency::Descriptor { place, what: "sha256 digest", value });
        }
        let size = self.size.as_ref().filter(|size| !size.is_u64())?;
        Some(Inconsistency::Descriptor { place, what: "size", value: size.to_string() })
    }
}
