//! Images in layouts of the client: their blobs are requested by digest, and added to the store as those of a tarball are.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use engine::images::BlobSize;
use engine::images::registry::{Descriptor, Platform};
use model::Digest;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::pieces::pieces;
use super::policy;
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::held::HeldImage;
use crate::parts::Parts;
use crate::session::Session;

/// No manifest is larger.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// How deep indexes may be nested.
const DEPTH_LIMIT: usize = 4;
/// Tarballs are made of blocks (pax(1), "ustar Interchange Format").
const BLOCK: usize = 512;
/// The annotation of a manifest that describes another one: it is not an image.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image in a layout that the client's session serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayoutImage {
    /// The name that the client offers the layout by.
    pub(super) layout: String,
    /// The digest of a manifest or an index.
    pub(super) digest: Digest,
}

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// An image that was chosen.
struct Chosen {
    descriptor: Descriptor,
    document: Bytes,
    /// Its configuration and its layers.
    blobs: Vec<Descriptor>,
}

impl LayoutImage {
    /// Reads `//NAME@DIGEST`, with or without a tag.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else.
    pub(super) fn parse(text: &str) -> Result<Self, Status> {
        let invalid = || Status::invalid(format!("{text:?} is no image of a layout: NAME@DIGEST is"));
        let (name, digest) = text.trim_start_matches("//").rsplit_once('@').ok_or_else(invalid)?;
        let layout = name.split(':').next().unwrap_or_default().to_owned();
        let digest = Digest::parse(digest).map_err(|_| invalid())?;
        if layout.is_empty() { Err(invalid()) } else { Ok(Self { layout, digest }) }
    }
}

/// Imports an image for a platform, or else for this machine; it is a cache that no list shows.
///
/// # Errors
/// [`Status`] when the client does not have it, or sends what is not an image.
pub(super) async fn import(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    name: &str,
    image: &LayoutImage,
    platform: Option<&Platform>,
) -> Result<HeldImage, Status> {
    let session = parts.sessions.find(&build.session).await?;
    let LayoutImage { layout, digest } = image;
    let address = format!("oci-layout://{layout}@{digest}");
    if !build.policy_session.is_empty() {
        policy::admit(&*parts.sessions.find(&build.policy_session).await?, &address).await?;
    }
    let title = format!("[context {name}] {address}");
    let step = build.progress.start(&format!("layout {layout} {digest}"), &title);
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    step.conclude(receive(parts, &session, image, &wanted).await)
}

async fn receive(
    parts: &Arc<Parts>,
    session: &Session,
    image: &LayoutImage,
    wanted: &Platform,
) -> Result<HeldImage, Status> {
    let chosen = choose(session, image, wanted).await?;
    let (sender, reader) = pieces();
    let store = parts.engine.images.store().clone();
    let work = tokio::task::spawn_blocking(move || {
        let loaded = store.load_as_cache(reader)?;
        loaded.first().map(|image| HeldImage::hold(&store, *image)).transpose()
    });
    let sent = send(session, image, chosen, sender).await;
    let loaded = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    // The client's failure explains that of the store.
    sent?;
    let held = loaded.map_err(|error| Status::of_kind(error.kind(), error.to_string()))?;
    held.ok_or_else(|| Status::invalid("the layout has no image"))
}

/// Finds the manifest of the image for a platform.
async fn choose(session: &Session, image: &LayoutImage, wanted: &Platform) -> Result<Chosen, Status> {
    let mut digest = image.digest;
    for _ in 0..DEPTH_LIMIT {
        let document = document(session, &image.layout, digest).await?;
        let value: Value = serde_json::from_slice(&document)
            .map_err(|error| Status::invalid(format!("{digest} is no manifest: {error}")))?;
        let descriptors = |value: &Value| -> Result<Vec<Descriptor>, Status> {
            serde_json::from_value(value.clone())
                .map_err(|error| Status::invalid(format!("{digest} is no manifest: {error}")))
        };
        if value["manifests"].is_null() {
            let blobs = [descriptors(&json!([value["config"]]))?, descriptors(&value["layers"])?].concat();
            let media_type = value["mediaType"].as_str().unwrap_or_default();
            let descriptor = Descriptor::new(media_type, digest, document.len() as u64);
            return Ok(Chosen { descriptor, document, blobs });
        }
        let entries = descriptors(&value["manifests"])?;
        let mut images = entries.iter().filter(|entry| !entry.annotations.contains_key(REFERENCE_TYPE));
        let fits = |entry: &&Descriptor| entry.platform.as_ref().is_none_or(|platform| platform.is(wanted));
        let missing = || Status::new(Code::NotFound, format!("{digest} has no image for {wanted}"));
        digest = images.find(fits).ok_or_else(missing)?.digest;
    }
    Err(Status::invalid(format!("{} is an index of indexes beyond {DEPTH_LIMIT}", image.digest)))
}

/// Reads a manifest or an index as a whole; its digest is verified where it is loaded.
async fn document(session: &Session, layout: &str, digest: Digest) -> Result<Bytes, Status> {
    let mut blob = session.blob(layout, digest, BlobSize::AtMost(MANIFEST_LIMIT)).await?;
    let mut document = Vec::new();
    while let Some(piece) = blob.next().await? {
        document.extend_from_slice(&piece);
    }
    if engine::images::digest_of(&document) != digest {
        return Err(Status::invalid(format!("the client sent something else for {digest}")));
    }
    Ok(document.into())
}

/// Sends a layout of the image alone as a tarball.
async fn send(session: &Session, image: &LayoutImage, chosen: Chosen, pieces: Pieces) -> Result<(), Status> {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [chosen.descriptor] });
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    let members = [
        ("oci-layout".to_owned(), Bytes::from(version.to_string())),
        ("index.json".to_owned(), Bytes::from(index.to_string())),
        (member(&chosen.descriptor.digest), chosen.document),
    ];
    for (name, content) in members {
        let padding = padding(content.len() as u64);
        for piece in [header(&name, content.len() as u64)?, content, padding] {
            if !push(&pieces, piece).await {
                return Ok(());
            }
        }
    }
    let mut sent = std::collections::HashSet::new();
    for descriptor in chosen.blobs.iter().filter(|blob| sent.insert(blob.digest)) {
        let size = BlobSize::Exactly(descriptor.size);
        let mut blob = session.blob(&image.layout, descriptor.digest, size).await?;
        if !push(&pieces, header(&member(&descriptor.digest), descriptor.size)?).await {
            return Ok(());
        }
        while let Some(piece) = blob.next().await? {
            if !push(&pieces, piece).await {
                return Ok(());
            }
        }
        push(&pieces, padding(descriptor.size)).await;
    }
    push(&pieces, Bytes::from_static(&[0; 2 * BLOCK])).await;
    // An empty buffer is the end.
    let _ = pieces.send(Ok(Bytes::new())).await;
    Ok(())
}

/// Sends a buffer, unless it is empty; false once the reader is gone.
async fn push(pieces: &Pieces, piece: Bytes) -> bool {
    piece.is_empty() || pieces.send(Ok(piece)).await.is_ok()
}

fn member(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hexadecimal())
}

fn header(name: &str, size: u64) -> Result<Bytes, Status> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

/// The padding of the last block of a content.
fn padding(size: u64) -> Bytes {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let rest = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    Bytes::from_static(&ZEROS[..(BLOCK - rest) % BLOCK])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_layouts_are_named_by_their_digest() {
        let digest = engine::images::digest_of(b"x");
        for name in ["//abc", "abc", "//abc:latest"] {
            let parsed = LayoutImage::parse(&format!("{name}@{digest}")).expect("an image");
            assert_eq!(parsed, LayoutImage { layout: "abc".to_owned(), digest });
        }
        for text in ["//abc", "//abc@sha256:12", &format!("@{digest}")] {
            assert_eq!(LayoutImage::parse(text).expect_err(text).code, Code::InvalidArgument);
        }
    }

    #[test]
    fn contents_fill_their_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(|size| padding(size).len()), [0, 511, 1, 0, 511]);
    }
}
