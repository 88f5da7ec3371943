//! Composes the documents of an index: manifests are given, attestations are made for them.
//!
//! The form is the one that Docker documents as "Image attestation storage": an attestation is a manifest of statements,
//! which the index lists for the platform `unknown/unknown` and ties to the manifest of its image by an annotation.

use std::collections::BTreeMap;

use model::{Digest, ImageReference};
use serde::Serialize;
use serde_json::json;

use super::image::{Annotations, BuiltImage};
use super::media_types::MediaTypes;
use super::package::package_address;
use crate::manifests::STATEMENT;
use crate::registry::{
    Descriptor, ImageManifest, OCI_CONFIG, OCI_MANIFEST, Platform, REFERENCE_DIGEST, REFERENCE_TYPE,
};
use crate::store::digest_of;

/// The type of a statement (in-toto attestation framework 0.1, "Statement").
const STATEMENT_KIND: &str = "https://in-toto.io/Statement/v0.1";
/// The annotation with the type of a statement's predicate.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The architecture and operating system of an attestation.
const UNKNOWN: &str = "unknown";

/// An image of an index that is to be composed.
pub(crate) struct Part<'a> {
    /// Its manifest, byte for byte.
    pub(crate) manifest: Vec<u8>,
    pub(crate) platform: Platform,
    pub(crate) built: &'a BuiltImage,
}

/// An index and the attestations that it lists.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) index: Vec<u8>,
    pub(crate) attestations: Vec<Attestation>,
}

/// A manifest of statements, and the blobs that it refers to.
#[derive(Debug)]
pub(crate) struct Attestation {
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenIndex<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Annotations,
}

/// Composes an index; the statements name their image by the names that it gets.
///
/// # Errors
/// What writing a document fails with.
pub(crate) fn compose(
    parts: &[Part<'_>],
    (types, annotations): (MediaTypes, &Annotations),
    names: &[ImageReference],
) -> serde_json::Result<Composed> {
    let (mut images, mut listed, mut attestations) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let digest = digest_of(&part.manifest);
        let descriptor = Descriptor::new(types.manifest(), digest, part.manifest.len() as u64);
        let annotations = part.built.descriptor_annotations.clone();
        images.push(Descriptor { platform: Some(part.platform.clone()), annotations, ..descriptor });
        if part.built.predicates.is_empty() {
            continue;
        }
        let attestation = attest(part, digest, names)?;
        listed.push(entry(&attestation.manifest, digest));
        attestations.push(attestation);
    }
    images.extend(listed);
    let index = WrittenIndex { schema_version: 2, media_type: types.index(), manifests: images, annotations };
    Ok(Composed { index: serde_json::to_vec(&index)?, attestations })
}

/// The descriptor of an attestation in the index.
fn entry(manifest: &[u8], of: Digest) -> Descriptor {
    let unknown =
        Platform { os: UNKNOWN.to_owned(), architecture: UNKNOWN.to_owned(), variant: String::new() };
    let annotations = BTreeMap::from([
        (REFERENCE_DIGEST.to_owned(), of.to_string()),
        (REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned()),
    ]);
    let descriptor = Descriptor::new(OCI_MANIFEST, digest_of(manifest), manifest.len() as u64);
    Descriptor { platform: Some(unknown), annotations, ..descriptor }
}

fn attest(part: &Part<'_>, digest: Digest, names: &[ImageReference]) -> serde_json::Result<Attestation> {
    let (mut layers, mut blobs) = (Vec::new(), Vec::new());
    for predicate in &part.built.predicates {
        let statement = serde_json::to_vec(&json!({
            "_type": STATEMENT_KIND,
            "predicateType": predicate.kind,
            "subject": subjects(&part.platform, digest, names),
            "predicate": predicate.content,
        }))?;
        let annotations = BTreeMap::from([(PREDICATE_TYPE.to_owned(), predicate.kind.clone())]);
        let layer = Descriptor::new(STATEMENT, digest_of(&statement), statement.len() as u64);
        layers.push(Descriptor { annotations, ..layer });
        blobs.push(statement);
    }
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
    let config = serde_json::to_vec(&json!({
        "architecture": UNKNOWN,
        "os": UNKNOWN,
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))?;
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: OCI_MANIFEST.to_owned(),
        config: Descriptor::new(OCI_CONFIG, digest_of(&config), config.len() as u64),
        layers,
        annotations: BTreeMap::new(),
    };
    blobs.push(config);
    Ok(Attestation { manifest: serde_json::to_vec(&manifest)?, blobs })
}

/// The subjects of a statement: the manifest, by each of the image's names as a package.
fn subjects(platform: &Platform, digest: Digest, names: &[ImageReference]) -> Vec<serde_json::Value> {
    let subject = |name: String| json!({ "name": name, "digest": { "sha256": digest.hexadecimal() } });
    if names.is_empty() {
        return vec![subject("_".to_owned())];
    }
    names.iter().map(|name| subject(package_address(name, Some(platform)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::built::Predicate;

    fn built(kind: Option<&str>) -> BuiltImage {
        let predicate = |kind: &str| Predicate { kind: kind.to_owned(), content: json!({}) };
        let predicates = kind.map(predicate).into_iter().collect();
        BuiltImage { predicates, ..BuiltImage::new(Digest::from_bytes([7; 32])) }
    }

    fn part<'a>(manifest: &[u8], built: &'a BuiltImage) -> Part<'a> {
        Part { manifest: manifest.to_vec(), platform: Platform::host(), built }
    }

    fn parsed(composed: &Composed) -> serde_json::Value {
        serde_json::from_slice(&composed.index).expect("JSON")
    }

    #[test]
    fn an_attestation_names_the_manifest_that_it_is_about() {
        let image = built(Some("https://slsa.dev/provenance/v0.2"));
        let name = ImageReference::parse("made:1").expect("a name");
        let composed = compose(&[part(b"{}", &image)], (MediaTypes::Oci, &Annotations::new()), &[name])
            .expect("documents");
        let index = parsed(&composed);
        let own = digest_of(b"{}");
        assert_eq!(index["manifests"][0]["digest"], own.to_string());
        let entry = &index["manifests"][1];
        assert_eq!(entry["annotations"][REFERENCE_DIGEST], own.to_string());
        assert_eq!(entry["platform"], json!({ "architecture": "unknown", "os": "unknown" }));
        let [attestation] = composed.attestations.as_slice() else { panic!("one attestation") };
        assert_eq!(entry["digest"], digest_of(&attestation.manifest).to_string());
        let statement: serde_json::Value = serde_json::from_slice(&attestation.blobs[0]).expect("JSON");
        assert_eq!(statement["subject"][0]["digest"]["sha256"], own.hexadecimal());
        let platform = Platform::host().to_string().replace('/', "%2F");
        assert_eq!(statement["subject"][0]["name"], format!("pkg:docker/made@1?platform={platform}"));
    }

    #[test]
    fn images_without_statements_have_no_attestations() {
        let image = built(None);
        let parts = [part(b"{}", &image), part(b"[]", &image)];
        let composed = compose(&parts, (MediaTypes::Oci, &Annotations::new()), &[]).expect("documents");
        let index = parsed(&composed);
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
        assert!(composed.attestations.is_empty());
        assert!(index.get("annotations").is_none() && index["manifests"][0].get("annotations").is_none());
    }

    #[test]
    fn an_index_and_what_it_lists_have_their_own_annotations() {
        let annotations = |key: &str| Annotations::from([(key.to_owned(), "x".to_owned())]);
        let image = BuiltImage { descriptor_annotations: annotations("listed"), ..built(Some("kind")) };
        let composed = compose(&[part(b"{}", &image)], (MediaTypes::Oci, &annotations("whole")), &[])
            .expect("documents");
        let index = parsed(&composed);
        assert_eq!(index["annotations"], json!({ "whole": "x" }));
        assert_eq!(index["manifests"][0]["annotations"], json!({ "listed": "x" }));
        assert!(index["manifests"][1]["annotations"].get("listed").is_none(), "{index}");
    }
}
