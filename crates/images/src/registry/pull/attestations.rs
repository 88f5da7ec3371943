//! Fetches the attestations of an image in an index: their manifests and all that they consist of.
//!
//! They are documents that a build wrote with the image. They are stored byte for byte, so that a push or a saved
//! layout has them too; documents that are too large, or missing in the registry, are left out.

use std::collections::BTreeSet;

use super::resolve::{Resolved, fetch_blob, fetch_manifest};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{Descriptor, ImageManifest};
use crate::registry::session::Session;
use crate::store::digest_of;

/// All of an image together: a bill of materials of a large image has some megabytes.
const BYTES_LIMIT: u64 = 16 << 20;
/// Manifests and their parts.
const COUNT_LIMIT: usize = 64;

/// Fetches the documents that are kept with an image's manifest: the inner indexes that led to it and its attestations.
pub(super) fn fetch(session: &Session<'_>, resolved: &Resolved) -> Result<Vec<Vec<u8>>, RegistryError> {
    let mut kept: Vec<Vec<u8>> = resolved.indexes.iter().skip(1).map(|read| read.document.clone()).collect();
    let manifest = digest_of(&resolved.manifest_document);
    let mut room = Room { bytes: BYTES_LIMIT, count: COUNT_LIMIT };
    let mut seen = BTreeSet::new();
    for entry in resolved.indexes.iter().flat_map(|read| read.index.attestations_of(manifest)) {
        if !seen.insert(entry.digest) {
            continue;
        }
        match attestation(session, entry, &mut room) {
            Ok(documents) => kept.extend(documents),
            Err(RegistryError::Cancelled) => return Err(RegistryError::Cancelled),
            Err(error) => tracing::debug!(%error, digest = %entry.digest, "an attestation is not kept"),
        }
    }
    Ok(kept)
}

/// The limits of what may still be fetched.
struct Room {
    bytes: u64,
    count: usize,
}

impl Room {
    fn take(&mut self, content: &Descriptor) -> bool {
        let has_room = content.size <= self.bytes && self.count > 0;
        if has_room {
            self.bytes -= content.size;
            self.count -= 1;
        }
        has_room
    }
}

/// An attestation's manifest with its parts, as far as there is room.
fn attestation(
    session: &Session<'_>,
    entry: &Descriptor,
    room: &mut Room,
) -> Result<Vec<Vec<u8>>, RegistryError> {
    if !room.take(entry) {
        return Ok(Vec::new());
    }
    let document = fetch_manifest(session, entry)?;
    let manifest: ImageManifest =
        serde_json::from_slice(&document).map_err(crate::registry::ManifestError::Malformed)?;
    let mut kept = vec![document];
    for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
        if room.take(part) {
            kept.push(fetch_blob(session, part)?);
        }
    }
    Ok(kept)
}
