//! Puts documents into a repository: configs and attestations as blobs, manifests by tag or digest.

use model::Digest;
use ureq::http::{Method, StatusCode, header};

use super::upload::{self, Upload};
use crate::registry::error::RegistryError;
use crate::registry::manifest::ACCEPTED;
use crate::registry::proof::Scope;
use crate::registry::session::{Session, refused};
use crate::registry::transport::{Payload, Request};
use crate::store::digest_of;

/// Has a short blob in the repository.
pub(super) fn blob(session: &Session<'_>, digest: Digest, content: &[u8]) -> Result<(), RegistryError> {
    if upload::exists(session, digest)? { Ok(()) } else { upload(session, digest, content) }
}

/// Uploads a short blob that the repository lacks.
pub(super) fn upload(session: &Session<'_>, digest: Digest, content: &[u8]) -> Result<(), RegistryError> {
    let open = |offset: u64| {
        let start = usize::try_from(offset).unwrap_or(content.len()).min(content.len());
        Ok(Box::new(&content[start..]) as Box<dyn std::io::Read + '_>)
    };
    Upload { session, digest, size: content.len() as u64, open: &open, seen: &|_| {} }.run()
}

/// Puts a manifest under a tag or its digest; returns its digest.
pub(super) fn manifest(
    session: &Session<'_>,
    label: &str,
    media_type: &str,
    document: &[u8],
) -> Result<Digest, RegistryError> {
    let make = || {
        let mut request = Request::new(Method::PUT, session.url(&format!("manifests/{label}")));
        request.payload = Payload::Bytes(media_type, document);
        request.timeout = Some(upload::COMMIT_TIME);
        request
    };
    let answer = session.call(&Scope::push(session.path()), &make)?;
    if !matches!(answer.status, StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED) {
        return Err(refused(&Method::PUT, answer));
    }
    let actual = digest_of(document);
    let said = answer.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
    match said.and_then(|digest| Digest::parse(digest).ok()) {
        Some(said) if said != actual => Err(RegistryError::WrongDigest { expected: actual, actual: said }),
        _ => Ok(actual),
    }
}

/// Whether the repository has a manifest.
pub(super) fn has_manifest(session: &Session<'_>, digest: Digest) -> Result<bool, RegistryError> {
    let make = || {
        let mut request = Request::new(Method::HEAD, session.url(&format!("manifests/{digest}")));
        request.headers.push((header::ACCEPT, ACCEPTED.join(", ")));
        request
    };
    let answer = session.call(&Scope::push(session.path()), &make)?;
    match answer.status {
        StatusCode::OK => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        _ => Err(refused(&Method::HEAD, answer)),
    }
}
