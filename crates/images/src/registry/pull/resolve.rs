//! Finds the manifest that a reference means here, and checks it.

use model::{Digest, ImageReference, Tag};
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use crate::registry::error::RegistryError;
use crate::registry::manifest::{
    ACCEPTED, Descriptor, ImageManifest, Index, Manifest, ManifestError, Platform,
};
use crate::registry::proof::{Scope, explanation};
use crate::registry::retry::Attempts;
use crate::registry::session::{Session, refused};
use crate::registry::transport::{Answer, Request, shown};
use crate::store::digest_of;

/// The longest config of an image.
const CONFIG_LIMIT: u64 = 8 << 20;
/// The longest manifest (distribution specification, "Pushing Manifests").
const MANIFEST_LIMIT: u64 = 4 << 20;
/// The longest page of tags.
const TAGS_LIMIT: u64 = 4 << 20;
/// As many tags a repository may have.
const TAG_LIMIT: usize = 100_000;
/// The most pages of tags.
const PAGE_LIMIT: usize = 1000;
/// How deep lists may be nested.
const DEPTH_LIMIT: usize = 3;

/// A manifest and what it was found by.
pub(super) struct Resolved {
    /// The digest of what the reference names: the list, where it is one.
    pub(super) digest: Digest,
    /// The bytes that this digest is of.
    pub(super) document: Vec<u8>,
    /// The type of that.
    pub(super) media_type: String,
    /// The image's own manifest.
    pub(super) manifest: Manifest,
    /// Its bytes.
    pub(super) manifest_document: Vec<u8>,
    /// The indexes that lead to it, outermost first.
    pub(super) indexes: Vec<ReadIndex>,
}

/// An index and its bytes.
pub(super) struct ReadIndex {
    pub(super) index: Index,
    pub(super) document: Vec<u8>,
}

impl Resolved {
    /// An image that was found without an index.
    pub(super) fn alone(
        digest: Digest,
        document: Vec<u8>,
        manifest: Manifest,
    ) -> Result<Self, RegistryError> {
        let media_type = manifest.media_type(&document)?;
        let manifest_document = document.clone();
        Ok(Self { digest, document, media_type, manifest, manifest_document, indexes: Vec::new() })
    }

    /// The manifest of the index that fits a platform best.
    pub(super) fn preferred(&self, platform: &Platform) -> Option<Digest> {
        self.indexes.first().and_then(|read| read.index.choose(platform).ok()).map(|entry| entry.digest)
    }
}

/// Fetches the manifest of a tag or digest, through lists, for a platform.
pub(super) fn resolve(
    session: &Session<'_>,
    platform: &Platform,
    reference: &ImageReference,
    label: &str,
) -> Result<Resolved, RegistryError> {
    let (document, manifest) = fetch(session, reference, label, reference.digest, &ACCEPTED)?;
    let mut resolved = Resolved::alone(digest_of(&document), document, manifest)?;
    while let Manifest::Index(index) = resolved.manifest {
        if resolved.indexes.len() == DEPTH_LIMIT {
            return Err(ManifestError::TooDeep.into());
        }
        let entry = index.choose(platform)?;
        let (size, digest) = (entry.size, entry.digest);
        let (document, chosen) = fetch(session, reference, &digest.to_string(), Some(digest), &ACCEPTED)?;
        let actual = document.len() as u64;
        if actual != size && !matches!(chosen, Manifest::Legacy(_)) {
            return Err(RegistryError::WrongSize { digest, expected: size, actual });
        }
        let document = std::mem::replace(&mut resolved.manifest_document, document);
        resolved.indexes.push(ReadIndex { index, document });
        resolved.manifest = chosen;
    }
    Ok(resolved)
}

/// Fetches one manifest of the types accepted; returns the bytes that its digest is of.
pub(super) fn fetch(
    session: &Session<'_>,
    reference: &ImageReference,
    label: &str,
    expected: Option<Digest>,
    accepted: &[&str],
) -> Result<(Vec<u8>, Manifest), RegistryError> {
    let make = || {
        let mut request = Request::new(Method::GET, session.url(&format!("manifests/{label}")));
        request.headers.push((header::ACCEPT, accepted.join(", ")));
        request
    };
    let scope = Scope::pull(session.path());
    let (head, bytes) = fetch_short(session, &scope, MANIFEST_LIMIT, &make, &|answer| match answer.status {
        StatusCode::NOT_FOUND => Err(not_found(reference, label, answer)),
        _ => Err(refused(&Method::GET, answer)),
    })?;
    let expected = expected.or(head.digest);
    let content_type = head.content_type.as_deref();
    // Only the digest of schema 1 is that of a part of the document.
    if !Manifest::may_be_legacy(content_type) {
        check_digest(expected, &bytes)?;
    }
    let manifest = match Manifest::parse(content_type, &bytes) {
        Err(error) => return check_digest(expected, &bytes).and(Err(error.into())),
        Ok(manifest) => manifest,
    };
    let document = match &manifest {
        Manifest::Legacy(legacy) => legacy.payload.clone(),
        Manifest::Image(_) | Manifest::Index(_) => bytes,
    };
    check_legacy_name(&manifest, session, reference)?;
    let actual = digest_of(&document);
    match expected {
        Some(expected) if expected != actual => Err(RegistryError::WrongDigest { expected, actual }),
        _ => Ok((document, manifest)),
    }
}

/// Checks a document's digest before its content is used.
fn check_digest(expected: Option<Digest>, bytes: &[u8]) -> Result<(), RegistryError> {
    let actual = digest_of(bytes);
    match expected.filter(|expected| *expected != actual) {
        Some(expected) => Err(RegistryError::WrongDigest { expected, actual }),
        None => Ok(()),
    }
}

/// A manifest of schema 1 has its own name: one of another name is refused.
fn check_legacy_name(
    manifest: &Manifest,
    session: &Session<'_>,
    reference: &ImageReference,
) -> Result<(), ManifestError> {
    let Manifest::Legacy(legacy) = manifest else { return Ok(()) };
    let tag = reference.tag.as_ref().filter(|_| reference.digest.is_none());
    let same_tag = tag.is_none_or(|tag| tag.as_str() == legacy.tag);
    if legacy.name == session.path() && same_tag {
        return Ok(());
    }
    Err(ManifestError::Inconsistent(format!("it is that of {}:{}", legacy.name, legacy.tag)))
}

fn not_found(reference: &ImageReference, label: &str, answer: Answer) -> RegistryError {
    let separator = if reference.digest.is_some() { '@' } else { ':' };
    let path = reference.repository.familiar_path();
    let message = explanation(answer);
    let message = if message.is_empty() { "manifest unknown".to_owned() } else { message };
    RegistryError::Unknown { reason: format!("Error: image {path}{separator}{label} not found: {message}") }
}

/// The fields of a response's head about its body.
struct Head {
    content_type: Option<String>,
    digest: Option<Digest>,
    /// The next page.
    next: Option<url::Url>,
}

/// Fetches a body that is read whole, again when it breaks off.
fn fetch_short(
    session: &Session<'_>,
    scope: &Scope,
    limit: u64,
    make: &dyn Fn() -> Request<'static>,
    otherwise: &dyn Fn(Answer) -> Result<(), RegistryError>,
) -> Result<(Head, Vec<u8>), RegistryError> {
    let transport = session.transport();
    let mut attempts = Attempts::new(transport.settings().retry, transport.cancellation());
    loop {
        let answer = session.call(scope, make)?;
        if answer.status != StatusCode::OK {
            otherwise(answer)?;
            continue;
        }
        let url = answer.url.clone();
        let digest = answer.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
        let head = Head {
            content_type: answer.header(&header::CONTENT_TYPE).map(str::to_owned),
            digest: digest.and_then(|digest| Digest::parse(digest).ok()),
            next: answer.header(&header::LINK).and_then(next_page).and_then(|next| url.join(next).ok()),
        };
        match answer.read_up_to(limit + 1) {
            Ok(bytes) if bytes.len() as u64 > limit => {
                let reason = format!("it has more than {limit} bytes");
                return Err(RegistryError::Malformed { url: shown(&url), what: "document", reason });
            }
            Ok(bytes) => return Ok((head, bytes)),
            Err(_) if transport.cancellation().is_cancelled() => return Err(RegistryError::Cancelled),
            Err(error) if !attempts.pause(None) => {
                let reason = error.to_string();
                return Err(RegistryError::Malformed { url: shown(&url), what: "document", reason });
            }
            Err(_) => {}
        }
    }
}

/// Fetches the config of an image, and checks it.
pub(super) fn fetch_config(
    session: &Session<'_>,
    manifest: &ImageManifest,
) -> Result<Vec<u8>, RegistryError> {
    let wanted = &manifest.config;
    if wanted.size > CONFIG_LIMIT {
        let reason = format!("its config has {} bytes, more than {CONFIG_LIMIT}", wanted.size);
        return Err(ManifestError::Inconsistent(reason).into());
    }
    fetch_blob(session, wanted)
}

/// Fetches a short blob.
pub(super) fn fetch_blob(session: &Session<'_>, blob: &Descriptor) -> Result<Vec<u8>, RegistryError> {
    let make = || Request::new(Method::GET, session.url(&format!("blobs/{}", blob.digest)));
    fetch_content(session, &make, blob)
}

/// Fetches a manifest of any type, as it is.
pub(super) fn fetch_manifest(session: &Session<'_>, manifest: &Descriptor) -> Result<Vec<u8>, RegistryError> {
    let make = || {
        let mut request = Request::new(Method::GET, session.url(&format!("manifests/{}", manifest.digest)));
        request.headers.push((header::ACCEPT, ACCEPTED.join(", ")));
        request
    };
    fetch_content(session, &make, manifest)
}

/// Fetches content of a known digest and size.
fn fetch_content(
    session: &Session<'_>,
    make: &dyn Fn() -> Request<'static>,
    content: &Descriptor,
) -> Result<Vec<u8>, RegistryError> {
    let (digest, size) = (content.digest, content.size);
    let scope = Scope::pull(session.path());
    let (_, bytes) = fetch_short(session, &scope, size, make, &|answer| Err(refused(&Method::GET, answer)))
        .map_err(|error| match error {
        RegistryError::Malformed { what: "document", .. } => {
            RegistryError::WrongSize { digest, expected: size, actual: size + 1 }
        }
        other => other,
    })?;
    if bytes.len() as u64 != size {
        return Err(RegistryError::WrongSize { digest, expected: size, actual: bytes.len() as u64 });
    }
    let actual = digest_of(&bytes);
    if actual == digest { Ok(bytes) } else { Err(RegistryError::WrongDigest { expected: digest, actual }) }
}

#[derive(Deserialize)]
struct WireTags {
    tags: Option<Vec<String>>,
}

/// Lists the tags of the repository, page by page, until there are enough.
pub(super) fn tags(
    session: &Session<'_>,
    reference: &ImageReference,
    enough: usize,
) -> Result<Vec<Tag>, RegistryError> {
    let scope = Scope::pull(session.path());
    let first = session.url("tags/list");
    let mut page = first.clone();
    let mut tags = Vec::new();
    for _ in 0..PAGE_LIMIT {
        let make = || Request::new(Method::GET, page.clone());
        let (head, bytes) = fetch_short(session, &scope, TAGS_LIMIT, &make, &|answer| match answer.status {
            StatusCode::NOT_FOUND => {
                let path = reference.repository.familiar_path();
                let message = explanation(answer);
                Err(RegistryError::Unknown { reason: format!("Error: image {path} not found: {message}") })
            }
            _ => Err(refused(&Method::GET, answer)),
        })?;
        let malformed =
            |reason: String| RegistryError::Malformed { url: shown(&page), what: "list of tags", reason };
        // Each tag of a page costs more than its bytes: counted before they are parsed.
        if tags.len() + bytes.iter().filter(|byte| **byte == b',').count() >= TAG_LIMIT {
            return Err(malformed(format!("more than {TAG_LIMIT} tags")));
        }
        let wire: WireTags =
            serde_json::from_slice(&bytes).map_err(|error| malformed(model::json_words(&error)))?;
        for tag in wire.tags.unwrap_or_default() {
            tags.push(Tag::parse(&tag).map_err(|error| malformed(error.to_string()))?);
        }
        match head.next.filter(|next| next.origin() == first.origin() && *next != page) {
            Some(next) if tags.len() < enough => page = next,
            _ => return Ok(tags),
        }
    }
    let reason = format!("more than {PAGE_LIMIT} pages");
    Err(RegistryError::Malformed { url: shown(&first), what: "list of tags", reason })
}

/// The target of `<…>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then_some(target)
}
