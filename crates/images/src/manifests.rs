//! Shows what an image came under: every manifest of its index, whether its image is here or not.

use model::Digest;

use crate::Error;
use crate::registry::{Descriptor, ImageManifest, Index, Platform, REFERENCE_DIGEST, REFERENCE_TYPE};
use crate::store::{Store, Target, parse_document};

/// One manifest of what an image came under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSummary {
    /// Its descriptor in the index, or for an image without an index one made of its manifest.
    pub descriptor: Descriptor,
    /// Its kind.
    pub kind: ManifestKind,
    /// Whether all that it consists of is here.
    pub is_available: bool,
    /// The bytes of its documents and blobs that are here.
    pub content: u64,
}

/// The kind of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestKind {
    /// An image.
    Image {
        /// Its id, where it is here.
        image: Option<Digest>,
        /// Its platform, if known.
        platform: Option<Platform>,
        /// The bytes of its unpacked files.
        unpacked: u64,
    },
    /// Describes how another one was made.
    Attestation {
        /// The manifest of the other one.
        of: Option<Digest>,
    },
    /// Something else.
    Unknown,
}

/// A statement about the making of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The blob that holds it.
    pub descriptor: Descriptor,
    /// Its bytes, where they are here.
    pub content: Option<Vec<u8>>,
}

/// The type of an attestation's statements (in-toto attestation framework, "Bundle").
pub(crate) const STATEMENT: &str = "application/vnd.in-toto+json";

impl Store {
    /// The manifest of an image that came from elsewhere, as what it came under describes it, with its platform.
    ///
    /// # Errors
    /// `NotFound` when the image is removed meanwhile, `Internal` when the database fails.
    pub fn manifest_of(&self, image: &Digest, target: &Target) -> Result<Option<Descriptor>, Error> {
        let Some(manifest) = target.manifest_of(image) else { return Ok(None) };
        let entries = self.entries(target)?.unwrap_or_default();
        let Some(own) = entries.into_iter().find(|entry| entry.digest == manifest) else { return Ok(None) };
        let platform = match own.platform {
            Some(platform) => platform,
            None => Platform::of(&self.image(image)?.config),
        };
        Ok(Some(Descriptor { platform: Some(platform), ..own }))
    }

    /// The manifest of an image as a name of it leads to it, as [`Store::manifest_of`] gives it.
    ///
    /// # Errors
    /// As [`Store::manifest_of`].
    pub fn manifest_called(&self, image: &Digest, called: &str) -> Result<Option<Descriptor>, Error> {
        let target = self.target_called(called, image);
        target.map_or(Ok(None), |target| self.manifest_of(image, &target))
    }

    /// All manifests of a target.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn manifests_of(&self, target: &Target) -> Result<Vec<ManifestSummary>, Error> {
        let Some(entries) = self.entries(target)? else { return Ok(Vec::new()) };
        entries.into_iter().map(|entry| self.summary(target, entry)).collect()
    }

    /// The statements of an index about the making of one of its images.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn statements_of(&self, image: &Digest, target: &Target) -> Result<Vec<Statement>, Error> {
        let Some(own) = self.manifest_of(image, target)? else { return Ok(Vec::new()) };
        let mut statements = Vec::new();
        for summary in self.manifests_of(target)? {
            if summary.kind != (ManifestKind::Attestation { of: Some(own.digest) }) {
                continue;
            }
            let Some(document) = self.document(&summary.descriptor.digest)? else { continue };
            // An index may call anything an attestation.
            let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document) else { continue };
            for layer in manifest.layers.into_iter().filter(|layer| layer.media_type == STATEMENT) {
                statements.push(Statement { content: self.document(&layer.digest)?, descriptor: layer });
            }
        }
        Ok(statements)
    }

    /// The entries of an index, or the manifest itself as the only one; `None` when its document is gone.
    fn entries(&self, target: &Target) -> Result<Option<Vec<Descriptor>>, Error> {
        if let [variant] = target.variants.as_slice()
            && variant.manifest == target.digest
        {
            return Ok(Some(vec![Descriptor::new(&target.media_type, target.digest, target.size)]));
        }
        let Some(document) = self.document(&target.digest)? else { return Ok(None) };
        let index: Index = parse_document(&target.digest.to_string(), &document)?;
        Ok(Some(index.manifests))
    }

    fn summary(&self, target: &Target, descriptor: Descriptor) -> Result<ManifestSummary, Error> {
        let variant = target.variants.iter().find(|variant| variant.manifest == descriptor.digest);
        if let Some(kind) = descriptor.annotations.get(REFERENCE_TYPE) {
            let of = descriptor.annotations.get(REFERENCE_DIGEST).and_then(|of| Digest::parse(of).ok());
            let kind = if kind == "attestation-manifest" {
                ManifestKind::Attestation { of }
            } else {
                ManifestKind::Unknown
            };
            let (content, is_available) = self.documents_here(&descriptor.digest)?;
            return Ok(ManifestSummary { descriptor, kind, is_available, content });
        }
        let Some(variant) = variant else {
            let kind =
                ManifestKind::Image { image: None, platform: descriptor.platform.clone(), unpacked: 0 };
            return Ok(ManifestSummary { descriptor, kind, is_available: false, content: 0 });
        };
        let image = self.image(&variant.image)?;
        let platform = descriptor.platform.clone().unwrap_or_else(|| Platform::of(&image.config));
        let kind = ManifestKind::Image {
            image: Some(image.id),
            platform: Some(platform),
            unpacked: image.virtual_size,
        };
        let mut content = descriptor.size;
        if let Some(manifest) = self.image_manifest(&descriptor.digest)? {
            content += manifest.config.size;
            let layers = self.layers(&image)?;
            let kept = layers.iter().zip(&manifest.layers);
            content += kept
                .filter(|(layer, blob)| layer.kept_blob(blob.digest).is_some())
                .map(|(_, blob)| blob.size)
                .sum::<u64>();
        }
        Ok(ManifestSummary { descriptor, kind, is_available: true, content })
    }

    /// The bytes of a manifest of documents and of those of its parts that are here; whether all are.
    fn documents_here(&self, digest: &Digest) -> Result<(u64, bool), Error> {
        let Some(document) = self.document(digest)? else { return Ok((0, false)) };
        let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document) else {
            return Ok((document.len() as u64, false));
        };
        let (mut content, mut whole) = (document.len() as u64, true);
        for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
            match self.document(&part.digest)? {
                Some(part) => content += part.len() as u64,
                None => whole = false,
            }
        }
        Ok((content, whole))
    }

    /// An image's manifest that is kept.
    pub(crate) fn image_manifest(&self, digest: &Digest) -> Result<Option<ImageManifest>, Error> {
        let Some(document) = self.document(digest)? else { return Ok(None) };
        parse_document(&digest.to_string(), &document).map(Some)
    }
}
