//! Pushes images: layers in parallel, config, manifest.
//!
//! Existing blobs are not sent: a blob is first looked up in the repository, then mounted from a repository
//! where it was seen, and only then uploaded. Layers made here are compressed with a digest that is always
//! the same. What came from a registry or in a layout is sent unchanged, see `exact`.

mod built;
mod compress;
mod exact;
mod layer;
mod send;
mod upload;
mod words;

pub use compress::{Form, LayerForm};
pub(crate) use compress::{Written, write_out};
pub use words::PushWords;

use std::collections::BTreeMap;

use model::{Digest, ErrorKind, ImageReference};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use self::exact::{Exact, Sent};
use self::layer::Layers;
use super::Credentials;
use super::api_root;
use super::error::RegistryError;
use super::host::location;
use super::manifest::{Descriptor, ImageManifest, ManifestError, OCI_CONFIG, OCI_MANIFEST, Platform};
use super::parallel::for_each;
use super::progress::{Message, Progress};
use super::session::Session;
use super::transport::Transport;
use crate::built::MediaTypes;
use crate::{BuiltImages, Layer, Store, Target, Variant};

/// The request for a push.
#[derive(Debug, Clone, Copy)]
pub struct PushRequest<'a> {
    /// Where it comes from.
    pub store: &'a Store,
    /// The reference; without a tag, all tags of the repository.
    pub reference: &'a ImageReference,
    /// The user's credentials.
    pub credentials: Option<&'a Credentials>,
    /// The platform whose image alone is pushed; `None` for all that are here.
    pub platform: Option<&'a Platform>,
    /// How its messages are worded.
    pub words: PushWords,
    /// Whether the image gets the digest of what was pushed as a name.
    pub keeps_digests: bool,
    /// The form of its layers, where it was made here.
    pub layers: LayerForm,
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
    /// The media type of its manifest.
    pub media_type: String,
}

pub(super) fn push(
    transport: &Transport,
    request: &PushRequest<'_>,
    progress: &dyn Progress,
) -> Result<Vec<PushedImage>, RegistryError> {
    let repository = &request.reference.repository;
    let shown = location(repository);
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
    images.into_iter().map(|image| push.image(image)).collect()
}

/// Pushes images that were built here under a tag that they need not have here.
pub(super) fn push_built(
    transport: &Transport,
    request: &PushRequest<'_>,
    built: &BuiltImages,
    progress: &dyn Progress,
) -> Result<Digest, RegistryError> {
    let repository = &request.reference.repository;
    let api_root = api_root::registry(transport, repository.host())?.connect(transport)?;
    let session = Session::new(transport, api_root, repository.remote_path(), request.credentials);
    let push = Push { session: &session, request, progress };
    push.index(request.reference.tag_or_latest().as_str(), built).map(|sent| sent.digest)
}

/// Pushes what a build made under a tag, whatever the tag leads to here by now.
pub(super) fn push_exported(
    transport: &Transport,
    request: &PushRequest<'_>,
    (main, built): (Digest, &BuiltImages),
    progress: &dyn Progress,
) -> Result<PushedImage, RegistryError> {
    let repository = &request.reference.repository;
    progress.report(Message::line(request.words.begins(&location(repository), 0)));
    let api_root = api_root::registry(transport, repository.host())?.connect(transport)?;
    let session = Session::new(transport, api_root, repository.remote_path(), request.credentials);
    let push = Push { session: &session, request, progress };
    let label = request.reference.tag_or_latest().to_string();
    let sent = match built.images.as_slice() {
        [only] if request.store.keeps_its_own(&only.image)? => {
            let target = request.store.last_target_of(&only.image);
            match push.exactly(&label, main, target)? {
                Some(sent) => sent,
                None => push.composed(&label, main, built.types)?,
            }
        }
        [only] if !built.needs_index() && only.annotations.is_empty() => {
            push.composed(&label, main, built.types)?
        }
        _ => push.built(&label, built)?,
    };
    push.pushed((label, main), &sent)
}

/// A tag that is to be pushed.
struct TaggedImage {
    /// The tag, or the digest that it is pushed under.
    label: String,
    image: Digest,
    /// Its target by this name.
    target: Option<Target>,
}

/// The tags to push and their images.
fn images(request: &PushRequest<'_>) -> Result<Vec<TaggedImage>, RegistryError> {
    let repository = &request.reference.repository;
    let of_platform = |label: String| -> Result<TaggedImage, RegistryError> {
        let separator = if request.reference.digest.is_some() { '@' } else { ':' };
        let name = format!("{repository}{separator}{label}");
        let image = request.store.resolve_for(&name, request.platform)?.id;
        Ok(TaggedImage { label, image, target: request.store.target_called(&name, &image) })
    };
    if let Some(digest) = request.reference.digest {
        request
            .store
            .resolve_id(&request.reference.to_string())
            .map_err(|_| request.words.lacks_tag(repository, digest.to_string()))?;
        return Ok(vec![of_platform(digest.to_string())?]);
    }
    let tags = request.store.tags(repository);
    if tags.is_empty() {
        return Err(request.words.lacks_repository(request.reference));
    }
    let wanted = request.reference.tag.as_ref();
    let asked = tags.into_iter().filter(|(tag, _)| wanted.is_none_or(|wanted| tag == wanted.as_str()));
    let found = asked.map(|(tag, _)| of_platform(tag)).collect::<Result<Vec<_>, RegistryError>>()?;
    if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
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
    fn image(&self, tagged: TaggedImage) -> Result<PushedImage, RegistryError> {
        let TaggedImage { label: tag, image: id, target } = tagged;
        let sent = match self.exactly(&tag, id, target)? {
            Some(sent) => sent,
            None => self.composed(&tag, id, None)?,
        };
        self.pushed((tag, id), &sent)
    }

    /// Notes what was pushed, and reports it.
    fn pushed(&self, (tag, id): (String, Digest), sent: &Sent) -> Result<PushedImage, RegistryError> {
        let Sent { digest, media_type, document } = sent;
        // Of one platform alone the image would get a name that the others have not.
        if self.request.keeps_digests && self.request.platform.is_none() {
            let repository = &self.request.reference.repository;
            match self.request.store.name_by_manifest(&id, repository, document) {
                // The name of an image that was removed meanwhile is not needed.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let size = document.len() as u64;
        self.progress.report(Message::line(format!("{tag}: digest: {digest} size: {size}")));
        Ok(PushedImage { tag, image: id, digest: *digest, size, media_type: media_type.clone() })
    }

    /// Pushes what the image came under, where that can be had byte for byte.
    fn exactly(
        &self,
        label: &str,
        id: Digest,
        target: Option<Target>,
    ) -> Result<Option<Sent>, RegistryError> {
        let store = self.request.store;
        let by_digest = self.request.reference.digest;
        let target = match &by_digest {
            Some(digest) => store.target(digest),
            None => target,
        };
        let Some(target) = target else { return Ok(None) };
        if let Some(built) = store.built_under(&target)? {
            // Of one platform alone it is an image like any other that was made here.
            let is_whole = self.request.platform.is_none() && by_digest.is_none();
            return if is_whole { self.built(label, &built).map(Some) } else { Ok(None) };
        }
        let layers = self.sender();
        let exact = Exact { layers: &layers };
        match target.manifest_of(&id).filter(|_| self.request.platform.is_some()) {
            Some(manifest) => exact.variant(Variant { manifest, image: id }, label),
            None => exact.target(&target, label),
        }
    }

    /// Pushes an image with a manifest that is made here; by default with Docker's types, which every registry knows.
    fn composed(&self, tag: &str, id: Digest, types: Option<MediaTypes>) -> Result<Sent, RegistryError> {
        if let Some(digest) = self.request.reference.digest {
            let repository = &self.request.reference.repository;
            return Err(self.request.words.lacks_tag(repository, digest.to_string()));
        }
        // Docker's types have been those of gzipped layers alone.
        let usual = if self.request.layers.is_dockers() { MediaTypes::Docker } else { MediaTypes::Oci };
        let types = types.unwrap_or(usual);
        let manifest = self.manifest(&id, types)?;
        let document = encode(&manifest)?;
        let digest = send::manifest(self.session, tag, types.manifest(), &document)?;
        Ok(Sent { digest, media_type: types.manifest().to_owned(), document })
    }

    /// Has the layers and the config of an image in the repository, and makes the manifest that refers to them.
    fn manifest(&self, id: &Digest, types: MediaTypes) -> Result<ImageManifest, RegistryError> {
        let image = self.request.store.image(id)?;
        let held = self.request.store.layers(&image)?;
        let config = self.request.store.document_of(&image.id, &image.config_digest)?;
        // Checked first: a refusal comes before anything is compressed.
        let has_config = upload::exists(self.session, image.config_digest)?;
        let layers = self.layers(&held)?;
        if !has_config {
            send::upload(self.session, image.config_digest, &config)?;
        }
        Ok(types.typed(ImageManifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            config: Descriptor::new(OCI_CONFIG, image.config_digest, config.len() as u64),
            layers,
            annotations: BTreeMap::new(),
        }))
    }

    fn sender(&self) -> Layers<'_> {
        Layers {
            session: self.session,
            store: self.request.store,
            words: self.request.words,
            form: self.request.layers,
            progress: self.progress,
        }
    }

    /// Has every layer in the repository; their descriptors stand in the image's order.
    fn layers(&self, held: &[Layer]) -> Result<Vec<Descriptor>, RegistryError> {
        let layers = self.sender();
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
    use crate::registry::manifest::{DOCKER_CONFIG, DOCKER_MANIFEST};

    #[test]
    fn manifests_are_written_in_the_known_form() {
        let descriptor = |kind: &str, byte| Descriptor::new(kind, Digest::from_bytes([byte; 32]), 7);
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: DOCKER_MANIFEST.to_owned(),
            config: descriptor(DOCKER_CONFIG, 1),
            layers: vec![descriptor(crate::registry::manifest::DOCKER_LAYER, 2)],
            annotations: BTreeMap::new(),
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
