//! Describes what a registry has under a name, without pulling it.

use model::{Digest, ImageReference};

use super::resolve::{fetch, fetch_config};
use crate::document::ImageConfig;
use crate::registry::api_root::{self, Source};
use crate::registry::auth::Credentials;
use crate::registry::error::RegistryError;
use crate::registry::manifest::{ACCEPTED, ImageManifest, Manifest, ManifestError, Platform};
use crate::registry::session::Session;
use crate::registry::transport::Transport;

/// A registry's image of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedImage {
    /// The type of the manifest or of the list.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// The platforms of its images.
    pub platforms: Vec<Platform>,
    /// The manifests of the images in it.
    pub images: Vec<Digest>,
}

/// Tries the sources of a pull of the reference, in the same order, `latest` where it has neither tag nor digest.
pub(in crate::registry) fn describe(
    transport: &Transport,
    reference: &ImageReference,
    credentials: Option<&Credentials>,
) -> Result<DescribedImage, RegistryError> {
    api_root::ask_in_turn(transport, reference, |source| {
        // A mirror has another operator than the registry that the credentials are for.
        describe_at(transport, source, reference, credentials.filter(|_| !source.is_mirror))
    })
}

fn describe_at(
    transport: &Transport,
    source: &Source,
    reference: &ImageReference,
    credentials: Option<&Credentials>,
) -> Result<DescribedImage, RegistryError> {
    let api_root = source.connect(transport)?;
    let path = reference.repository.remote_path();
    let session = Session::new(transport, api_root, path.as_ref(), credentials);
    let label = match &reference.digest {
        Some(digest) => digest.to_string(),
        None => reference.tag_or_latest().to_string(),
    };
    let (document, manifest) = fetch(&session, reference, &label, reference.digest, &ACCEPTED)?;
    let platforms = match &manifest {
        Manifest::Index(index) => index.platforms(),
        Manifest::Image(image) => vec![platform_of(&session, image)?],
        Manifest::Legacy(_) => Vec::new(),
    };
    let media_type = manifest.media_type(&document)?;
    let digest = crate::store::digest_of(&document);
    let images = match &manifest {
        Manifest::Index(index) => index.images().map(|entry| entry.digest).collect(),
        Manifest::Image(_) | Manifest::Legacy(_) => vec![digest],
    };
    Ok(DescribedImage { media_type, digest, size: document.len() as u64, platforms, images })
}

/// An image's platform, from its config.
fn platform_of(session: &Session<'_>, image: &ImageManifest) -> Result<Platform, RegistryError> {
    let content = fetch_config(session, image)?;
    let config: ImageConfig = serde_json::from_slice(&content).map_err(ManifestError::Malformed)?;
    Ok(Platform::of(&config))
}
