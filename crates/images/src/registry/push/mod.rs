//! Pushes images: layers in parallel, config, manifest.
//!
//! What the registry has is not sent: a blob is looked for in the repository, then mounted from a
//! repository where it was seen, and only then uploaded. Layers made here are compressed with a
//! digest that is always the same; layers that came from a registry go as they came.

mod compress;
mod layer;
mod upload;
mod words;

pub use words::PushWords;

use model::{Digest, ErrorKind, ImageReference};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use ureq::http::{Method, StatusCode};

use self::layer::Layers;
use self::upload::Upload;
use super::Credentials;
use super::api_root;
use super::error::RegistryError;
use super::host::HUB;
use super::manifest::{DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, ImageManifest, ManifestError};
use super::parallel::for_each;
use super::progress::{Message, Progress};
use super::proof::Scope;
use super::session::{Session, refused};
use super::transport::{Payload, Request, Transport};
use crate::store::digest_of;
use crate::{Layer, Store};

/// What is to be pushed.
#[derive(Debug, Clone, Copy)]
pub struct PushRequest<'a> {
    /// Where it comes from.
    pub store: &'a Store,
    /// What it is; without a tag, all tags of the repository.
    pub reference: &'a ImageReference,
    /// Who asks.
    pub credentials: Option<&'a Credentials>,
    /// How its messages are worded.
    pub words: PushWords,
    /// Whether the image gets the digest of what was pushed as a name.
    pub keeps_digests: bool,
}

/// A tag that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedImage {
    /// The tag.
    pub tag: String,
    /// The id of the image.
    pub image: Digest,
    /// The digest of its manifest in the registry.
    pub digest: Digest,
    /// The size of its manifest.
    pub size: u64,
}

pub(super) fn push(
    transport: &Transport,
    request: &PushRequest<'_>,
    progress: &dyn Progress,
) -> Result<Vec<PushedImage>, RegistryError> {
    let repository = &request.reference.repository;
    let shown = format!("{}/{}", repository.host().unwrap_or(HUB), repository.remote_path());
    let begin = |tags: usize| progress.report(Message::line(request.words.begins(&shown, tags)));
    let begins_at_once = request.words == PushWords::Today;
    if begins_at_once {
        begin(0);
    }
    let images = images(request)?;
    let api_root = api_root::registry(transport, repository.host())?.connect(transport)?;
    let session = Session::new(transport, api_root, repository.remote_path(), request.credentials);
    if !begins_at_once {
        begin(images.len());
    }
    let push = Push { session: &session, request, progress };
    images.into_iter().map(|(tag, image)| push.image(tag, image)).collect()
}

/// The tags to push and their images.
fn images(request: &PushRequest<'_>) -> Result<Vec<(String, Digest)>, RegistryError> {
    let repository = &request.reference.repository;
    if let Some(digest) = request.reference.digest {
        // A digest names content; a registry is given content under a tag.
        return Err(request.words.lacks_tag(repository, digest.to_string()));
    }
    let tags = request.store.tags(repository);
    if tags.is_empty() {
        return Err(request.words.lacks_repository(request.reference));
    }
    let Some(wanted) = &request.reference.tag else { return Ok(tags) };
    let found: Vec<_> = tags.into_iter().filter(|(tag, _)| tag == wanted.as_str()).collect();
    if found.is_empty() {
        return Err(request.words.lacks_tag(repository, wanted.to_string()));
    }
    Ok(found)
}

/// The push of one or several tags to one repository.
struct Push<'a> {
    session: &'a Session<'a>,
    request: &'a PushRequest<'a>,
    progress: &'a dyn Progress,
}

impl Push<'_> {
    fn image(&self, tag: String, id: Digest) -> Result<PushedImage, RegistryError> {
        let image = self.request.store.image(&id)?;
        let held = self.request.store.layers(&image)?;
        let config = self.request.store.document_of(&image.id, &image.config_digest)?;
        // Asked first: a refusal comes before anything is compressed.
        let has_config = upload::exists(self.session, image.config_digest)?;
        let layers = self.layers(&held)?;
        let config_descriptor = Descriptor {
            media_type: DOCKER_CONFIG.to_owned(),
            size: config.len() as u64,
            digest: image.config_digest,
            urls: Vec::new(),
            platform: None,
        };
        if !has_config {
            self.upload_config(&config_descriptor, &config)?;
        }
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: DOCKER_MANIFEST.to_owned(),
            config: config_descriptor,
            layers,
        };
        let document = encode(&manifest)?;
        let digest = self.manifest(&tag, &document)?;
        if self.request.keeps_digests {
            let repository = &self.request.reference.repository;
            match self.request.store.name_by_manifest(&id, repository, &document) {
                // Nobody needs the name of an image that was removed meanwhile.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let size = document.len() as u64;
        self.progress.report(Message::line(format!("{tag}: digest: {digest} size: {size}")));
        Ok(PushedImage { tag, image: id, digest, size })
    }

    /// Has every layer in the repository; their descriptors stand in the image's order.
    fn layers(&self, held: &[Layer]) -> Result<Vec<Descriptor>, RegistryError> {
        let layers = Layers {
            session: self.session,
            store: self.request.store,
            words: self.request.words,
            progress: self.progress,
        };
        let mut distinct: Vec<&Layer> = Vec::with_capacity(held.len());
        for layer in held {
            if !distinct.iter().any(|other| other.diff_id() == layer.diff_id()) {
                distinct.push(layer);
            }
        }
        let transport = self.session.transport();
        let threads = transport.settings().parallel_uploads.max(1);
        let pushed = for_each(&distinct, threads, transport.cancellation(), |layer| layers.push(layer))?;
        let descriptor = |layer: &Layer| {
            let position = distinct.iter().position(|other| other.diff_id() == layer.diff_id())?;
            pushed.get(position).cloned()
        };
        held.iter().map(descriptor).collect::<Option<Vec<_>>>().ok_or(RegistryError::Cancelled)
    }

    fn upload_config(&self, descriptor: &Descriptor, config: &[u8]) -> Result<(), RegistryError> {
        let open = |offset: u64| {
            let start = usize::try_from(offset).unwrap_or(config.len()).min(config.len());
            Ok(Box::new(&config[start..]) as Box<dyn std::io::Read + '_>)
        };
        let (digest, size) = (descriptor.digest, descriptor.size);
        Upload { session: self.session, digest, size, open: &open, seen: &|_| {} }.run()
    }

    fn manifest(&self, tag: &str, document: &[u8]) -> Result<Digest, RegistryError> {
        let session = self.session;
        let make = || {
            let mut request = Request::new(Method::PUT, session.url(&format!("manifests/{tag}")));
            request.payload = Payload::Bytes(DOCKER_MANIFEST, document);
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
            Some(said) if said != actual => {
                Err(RegistryError::WrongDigest { expected: actual, actual: said })
            }
            _ => Ok(actual),
        }
    }
}

/// Writes a manifest as registries have seen it for years: indented by three spaces.
fn encode(manifest: &ImageManifest) -> Result<Vec<u8>, ManifestError> {
    let mut document = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut document, PrettyFormatter::with_indent(b"   "));
    manifest.serialize(&mut serializer)?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_written_in_the_known_form() {
        let descriptor = |kind: &str, byte| Descriptor {
            media_type: kind.to_owned(),
            size: 7,
            digest: Digest::from_bytes([byte; 32]),
            urls: Vec::new(),
            platform: None,
        };
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: DOCKER_MANIFEST.to_owned(),
            config: descriptor(DOCKER_CONFIG, 1),
            layers: vec![descriptor(crate::registry::manifest::DOCKER_LAYER, 2)],
        };
        let text = String::from_utf8(encode(&manifest).unwrap()).unwrap();
        let expected = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{DOCKER_MANIFEST}\",\n   \"config\": {{\n      \
             \"mediaType\": \"{DOCKER_CONFIG}\",\n      \"size\": 7,\n      \"digest\": \"sha256:{}\"\n   }},\n   \
             \"layers\": [\n      {{\n         \"mediaType\": \"{}\",\n         \"size\": 7,\n         \"digest\": \
             \"sha256:{}\"\n      }}\n   ]\n}}",
            "01".repeat(32),
            crate::registry::manifest::DOCKER_LAYER,
            "02".repeat(32)
        );
        assert_eq!(text, expected);
    }
}
