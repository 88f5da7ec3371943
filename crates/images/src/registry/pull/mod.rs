//! Pulls images: manifest, config, layers in parallel, then the name.
//!
//! An image becomes visible by its name, and that is given last: until then layers are only held.

mod attestations;
mod converted;
mod describe;
mod layer;
mod resolve;

use model::{Digest, ImageReference, Tag};

pub use self::describe::DescribedImage;
pub(super) use self::describe::describe;
use self::layer::{LayerPlan, Layers};
use self::resolve::{Resolved, resolve};
use super::api_root::{self, Source};
use super::download::Blob;
use super::error::RegistryError;
use super::in_flight::InFlight;
use super::manifest::{ImageManifest, LegacyManifest, Manifest, ManifestError, Platform};
use super::progress::{Message, Progress};
use super::session::Session;
use super::transport::Transport;
use super::{Client, Credentials};
use crate::document::ImageConfig;
use crate::{Layer, Naming, NewImage, NewTarget, Origin, Published, Store};

/// The request for a pull.
#[derive(Debug, Clone, Copy)]
pub struct PullRequest<'a> {
    /// Where it goes.
    pub store: &'a Store,
    /// The reference; without tag and digest, all tags of the repository.
    pub reference: &'a ImageReference,
    /// The user's credentials.
    pub credentials: Option<&'a Credentials>,
    /// For which platform, where a list has several; `None` is the host's.
    pub platform: Option<&'a Platform>,
    /// The names of an image that is pulled by its tag.
    pub names: PulledNames,
}

/// The names of an image that is pulled by its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PulledNames {
    /// The tag.
    Tag,
    /// The tag, and the digest that the registry has for it.
    TagAndDigest,
    /// None, also where it is pulled by its digest: it is a cache of builds.
    Cache,
}

/// An image that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// Its name: with a tag, or with the requested digest.
    pub reference: ImageReference,
    /// Its id.
    pub image: Digest,
    /// Whether the name is new or named another image before.
    pub is_new: bool,
}

/// One name to pull.
struct Target {
    reference: ImageReference,
    /// The tag or digest.
    label: String,
}

pub(super) fn pull(
    client: &Client,
    transport: impl Fn() -> Transport,
    request: &PullRequest<'_>,
    progress: &dyn Progress,
) -> Result<Vec<PulledImage>, RegistryError> {
    client.in_flight.sweep(&request.store.download_directory());
    let pulled = api_root::ask_in_turn(&transport(), request.reference, |source| {
        pull_from(client, &transport(), source, request, progress)
    });
    pulled.map_err(|error| match error {
        // Not "unauthorized": clients would prompt for a password where the name may just be wrong.
        RegistryError::Unauthorized { reason } | RegistryError::Denied { reason } => {
            RegistryError::NoReadAccess { repository: request.reference.repository.to_string(), reason }
        }
        other => other,
    })
}

fn pull_from(
    client: &Client,
    transport: &Transport,
    source: &Source,
    request: &PullRequest<'_>,
    progress: &dyn Progress,
) -> Result<Vec<PulledImage>, RegistryError> {
    let api_root = source.connect(transport)?;
    let path = request.reference.repository.remote_path();
    // A mirror has another operator than the registry that the credentials are for.
    let credentials = request.credentials.filter(|_| !source.is_mirror);
    let session = Session::new(transport, api_root, path.as_ref(), credentials);
    let pull = Pull {
        session: &session,
        store: request.store,
        progress,
        in_flight: &client.in_flight,
        platform: request.platform.unwrap_or(&transport.settings().platform),
        host: &transport.settings().platform,
        names: request.names,
    };
    let (mut pulled, mut warnings) = (Vec::new(), Vec::new());
    for target in targets(&session, request.reference)? {
        let (image, actual) = pull.target(target)?;
        let warning = |actual: Platform| platform_warning(&image.reference, request.platform?, &actual);
        warnings.extend(actual.and_then(warning));
        pulled.push(image);
    }
    let status = if pulled.iter().any(|image| image.is_new) {
        "Downloaded newer image for"
    } else {
        "Image is up to date for"
    };
    progress.report(Message::line(format!("Status: {status} {}", request.reference)));
    warnings.into_iter().for_each(|warning| progress.report(Message::line(warning)));
    Ok(pulled)
}

/// The warning that a registry has an image only for another platform than the requested one.
fn platform_warning(reference: &ImageReference, wanted: &Platform, actual: &Platform) -> Option<String> {
    let is_other = !actual.architecture.is_empty() && !actual.is(wanted);
    is_other.then(|| {
        format!(
            "WARNING: image with reference {reference} was found but its platform ({actual}) does not match the \
             specified platform ({wanted})"
        )
    })
}

fn targets(session: &Session<'_>, reference: &ImageReference) -> Result<Vec<Target>, RegistryError> {
    let label = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_string(),
        (None, None) => {
            let tags = resolve::tags(session, reference, usize::MAX)?;
            let target = |tag: Tag| {
                let label = tag.to_string();
                Target { reference: ImageReference { tag: Some(tag), ..reference.clone() }, label }
            };
            return Ok(tags.into_iter().map(target).collect());
        }
    };
    Ok(vec![Target { reference: reference.clone(), label }])
}

/// The pull of one or several tags from one registry.
struct Pull<'a> {
    session: &'a Session<'a>,
    store: &'a Store,
    progress: &'a dyn Progress,
    in_flight: &'a InFlight,
    platform: &'a Platform,
    /// The platform of this machine.
    host: &'a Platform,
    names: PulledNames,
}

impl Pull<'_> {
    /// Pulls one name; returns also what the image is for where there was no index to choose from.
    fn target(&self, target: Target) -> Result<(PulledImage, Option<Platform>), RegistryError> {
        let resolved = self.resolve(&target)?;
        let path = self.session.path();
        self.progress.report(Message::titled(&target.label, format!("Pulling from {path}")));
        let (tag, digest) = (
            Naming::Tag(&target.reference),
            Naming::Manifest(&target.reference.repository, &resolved.document),
        );
        let names: &[Naming<'_>] = match (target.reference.digest, self.names) {
            (None, PulledNames::Tag) => &[tag],
            (None, PulledNames::TagAndDigest) => &[tag, digest],
            (_, PulledNames::Cache) => &[],
            (Some(_), _) => &[digest],
        };
        let Published { image, is_new } = match &resolved.manifest {
            Manifest::Image(manifest) => self.image(&resolved, manifest, names)?,
            Manifest::Legacy(manifest) => self.legacy(manifest, names)?,
            Manifest::Index(_) => return Err(ManifestError::TooDeep.into()),
        };
        self.progress.report(Message::line(format!("Digest: {}", resolved.digest)));
        let platform = resolved.indexes.is_empty().then(|| Platform::of(&image.config));
        Ok((PulledImage { reference: target.reference, image: image.id, is_new }, platform))
    }

    fn resolve(&self, target: &Target) -> Result<Resolved, RegistryError> {
        match (
            resolve(self.session, self.platform, &target.reference, &target.label),
            target.reference.digest,
        ) {
            (Err(error @ RegistryError::Unknown { .. }), Some(digest)) => {
                converted::find(self.session, self.platform, &target.reference, digest)?.ok_or(error)
            }
            (resolved, _) => resolved,
        }
    }

    fn image(
        &self,
        resolved: &Resolved,
        manifest: &ImageManifest,
        names: &[Naming<'_>],
    ) -> Result<Published, RegistryError> {
        let config = self.config(manifest)?;
        let parsed: ImageConfig = serde_json::from_slice(&config).map_err(ManifestError::Malformed)?;
        if parsed.os != "linux" {
            let reason = format!("the image is for the operating system {:?}, not for linux", parsed.os);
            return Err(ManifestError::Inconsistent(reason).into());
        }
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let reason = format!("it has {} layers, its config {}", manifest.layers.len(), diff_ids.len());
            return Err(ManifestError::Inconsistent(reason).into());
        }
        let plan = |(layer, diff_id): (&super::manifest::Descriptor, &Digest)| LayerPlan {
            blob: Blob::from(layer),
            media_type: layer.media_type.clone(),
            diff_id: Some(*diff_id),
        };
        let plans: Vec<_> = manifest.layers.iter().zip(diff_ids).map(plan).collect();
        let layers = self.layers().fetch(&plans)?;
        let mut target = NewTarget {
            document: &resolved.document,
            media_type: &resolved.media_type,
            manifest: &resolved.manifest_document,
            attachments: &[],
            preferred: resolved.preferred(self.host),
        };
        let attachments = if self.store.is_variant(&target, manifest.config.digest) {
            Vec::new()
        } else {
            attestations::fetch(self.session, resolved)?
        };
        target.attachments = &attachments;
        self.publish(&config, &layers, Some(target), names)
    }

    fn legacy(&self, manifest: &LegacyManifest, names: &[Naming<'_>]) -> Result<Published, RegistryError> {
        let layers: Vec<_> = manifest.layers.iter().filter(|layer| !layer.history.empty_layer).collect();
        let plan = |layer: &&super::manifest::LegacyLayer| LayerPlan {
            blob: Blob { digest: layer.blob, size: None, urls: Vec::new() },
            media_type: super::manifest::DOCKER_LAYER.to_owned(),
            diff_id: None,
        };
        let plans: Vec<_> = layers.iter().map(plan).collect();
        let layers = self.layers().fetch(&plans)?;
        let diff_ids: Vec<_> = layers.iter().map(Layer::diff_id).collect();
        self.publish(&manifest.config(&diff_ids)?, &layers, None, names)
    }

    fn layers(&self) -> Layers<'_> {
        Layers {
            session: self.session,
            store: self.store,
            progress: self.progress,
            in_flight: self.in_flight,
            budget: self.store.budget(),
        }
    }

    /// Makes the image and names it in one step, while its layers are held.
    fn publish(
        &self,
        config: &[u8],
        layers: &[Layer],
        target: Option<NewTarget<'_>>,
        names: &[Naming<'_>],
    ) -> Result<Published, RegistryError> {
        if self.session.transport().cancellation().is_cancelled() {
            return Err(RegistryError::Cancelled);
        }
        let origin = match self.names {
            PulledNames::Cache => Origin::ImportedCache,
            PulledNames::Tag | PulledNames::TagAndDigest => Origin::Elsewhere,
        };
        let image = NewImage { config, layers, parent: None, legacy: None, origin, target };
        Ok(self.store.publish(&image, names)?)
    }

    /// The config: from the store, or from the registry and checked.
    fn config(&self, manifest: &ImageManifest) -> Result<Vec<u8>, RegistryError> {
        let wanted = &manifest.config;
        if let Some(known) = self.store.document(&wanted.digest)? {
            return Ok(known);
        }
        resolve::fetch_config(self.session, manifest)
    }
}
