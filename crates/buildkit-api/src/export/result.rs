//! The result of a build, for exporters.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::images::registry::{Descriptor, Platform};
use engine::images::{Annotations, BuiltImage, BuiltImages, MediaTypes, Predicate};
use model::Digest;
use serde_json::json;

use super::annotations::WantedAnnotations;
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::made::MadeImage;
use crate::parts::Parts;
use crate::provenance::Provenance;
use crate::statement::Statement;

/// The images of a build, one or more, and their statements.
#[derive(Debug)]
pub(super) struct BuildOutput {
    pub(super) images: Vec<MadeImage>,
    pub(super) provenance: Option<Provenance>,
}

/// The images of a build as they are exported.
#[derive(Debug)]
pub(super) struct AnnotatedImages {
    pub(super) built: BuiltImages,
    /// The annotations of what their root is listed by.
    pub(super) of_root: Annotations,
}

/// What images go out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// An image in the engine's store.
    Image,
    /// An archive: statements that are for images only are not in it.
    Archive,
}

/// The files of an image among those of other platforms.
#[derive(Debug)]
pub(super) struct PlatformFiles {
    pub(super) platform: Platform,
    /// The directory that they get of their own.
    pub(super) directory: Option<String>,
    pub(super) files: OutputFiles,
}

/// The files of a result.
#[derive(Debug)]
pub(super) struct OutputFiles {
    pub(super) image: Digest,
    /// The files in addition to those of the image, by name.
    pub(super) documents: Vec<(String, Vec<u8>)>,
}

impl BuildOutput {
    /// The image that a name leads to: that for this machine, or the first.
    pub(super) fn main(&self) -> Result<Digest, Status> {
        let host = Platform::host();
        let own = self.images.iter().find(|image| image.platform.is(&host));
        let main = own.or_else(|| self.images.first());
        let missing = || Status::new(Code::Internal, "the build made no image");
        main.map(|image| image.held.id).ok_or_else(missing)
    }

    /// The statements about the images, for the record of their build.
    pub(super) fn statements(&self, build: &Build) -> Vec<Statement> {
        let Some(provenance) = &self.provenance else { return Vec::new() };
        let said = |image: &MadeImage| Statement::new(&image.platform, &provenance.predicate(build, image));
        self.images.iter().map(said).collect()
    }

    /// The files of all images; each has a directory of its own if that is set, or by default if the result is by platforms.
    /// Names of statements begin with the prefix.
    pub(super) fn files_by_platform(
        &self,
        build: &Build,
        prefix: &str,
        split: Option<bool>,
    ) -> Vec<PlatformFiles> {
        let has_several = self.is_by_platform();
        let is_split = split.unwrap_or(has_several);
        let files = |image: &MadeImage| {
            let name = directory_of(&image.platform);
            let said = if has_several && !is_split {
                format!("{prefix}provenance.{name}.json")
            } else {
                format!("{prefix}provenance.json")
            };
            let files = self.files_of(build, image, &said);
            PlatformFiles { platform: image.platform.clone(), directory: is_split.then_some(name), files }
        };
        self.images.iter().map(files).collect()
    }

    /// The files of all images for an archive, where those of a result by platforms have directories of their own in any
    /// case.
    pub(super) fn files_of_archive(
        &self,
        build: &Build,
        prefix: &str,
        split: Option<bool>,
    ) -> Vec<PlatformFiles> {
        let is_by_platform = self.is_by_platform();
        let split = if is_by_platform { split } else { Some(false) };
        let mut files = self.files_by_platform(build, prefix, split);
        for image in files.iter_mut().filter(|_| is_by_platform) {
            image.directory = Some(directory_of(&image.platform));
        }
        files
    }

    fn is_by_platform(&self) -> bool {
        self.images.iter().any(|image| image.is_by_platform)
    }

    /// The files of an image, with its statements in a document of this name.
    fn files_of(&self, build: &Build, image: &MadeImage, name: &str) -> OutputFiles {
        let said = self.provenance.as_ref().filter(|provenance| !provenance.is_for_images_only);
        let documents = said.map(|provenance| {
            let Predicate { kind, content } = provenance.predicate(build, image);
            let statement = json!({
                "_type": "https://in-toto.io/Statement/v0.1",
                "predicateType": kind,
                "subject": [],
                "predicate": content,
            });
            (name.to_owned(), statement.to_string().into_bytes())
        });
        OutputFiles { image: image.held.id, documents: documents.into_iter().collect() }
    }

    /// The images with their statements and annotations.
    ///
    /// # Errors
    /// [`Status`] for annotations of parts that the result does not have, and for statements with Docker's types.
    pub(super) fn annotated(
        &self,
        build: &Build,
        (wanted, types): (&WantedAnnotations, Option<MediaTypes>),
        carrier: Carrier,
    ) -> Result<AnnotatedImages, Status> {
        let provenance = self.provenance.as_ref();
        let provenance =
            provenance.filter(|provenance| carrier == Carrier::Image || !provenance.is_for_images_only);
        let built = |image: &MadeImage| BuiltImage {
            predicates: provenance.map(|provenance| provenance.predicate(build, image)).into_iter().collect(),
            ..BuiltImage::new(image.held.id)
        };
        let images = self.images.iter().map(built).collect();
        let mut built = BuiltImages { images, types, ..BuiltImages::default() };
        if types == Some(MediaTypes::Docker) && provenance.is_some() {
            let text = "cannot export attestations with \"oci-mediatypes=false\"";
            return Err(Status::new(Code::Unknown, text));
        }
        let platforms: Vec<_> = self.images.iter().map(|image| image.platform.clone()).collect();
        let has_index = built.needs_index();
        built.annotations = wanted.apply(&platforms, &mut built.images, has_index)?;
        let of_root = wanted.of_root(&built.images, has_index);
        Ok(AnnotatedImages { built, of_root })
    }

    /// Warns of attributes that an image does not get which the build has not changed: it keeps what it came with.
    pub(super) fn warn_if_foreign(&self, parts: &Parts, build: &Build, attributes: &[(&str, bool)]) {
        let store = parts.engine.images.store();
        let is_foreign =
            matches!(self.images.as_slice(), [only] if store.keeps_its_own(&only.held.id).unwrap_or(false));
        let given = attributes.iter().filter(|(_, is_given)| *is_given && is_foreign);
        let warning = |(name, _): &(&str, bool)| {
            format!(
                "{name} has no effect on an image that the build has not changed: it keeps what it came with"
            )
        };
        build.progress.warn_of_options(given.map(warning).collect());
    }

    /// What clients read of the only image's configuration.
    pub(super) fn config(&self) -> Option<(String, String)> {
        let [only] = self.images.as_slice() else { return None };
        Some((CONFIG_DIGEST.to_owned(), only.held.id.to_string()))
    }
}

/// The key of a result's digest in a response.
pub(super) const DIGEST: &str = "containerimage.digest";
/// The key of the names of a result.
pub(super) const NAME: &str = "image.name";
/// The key of the digest of an image's configuration: its id.
const CONFIG_DIGEST: &str = "containerimage.config.digest";

/// The name of the directory of a platform's files.
fn directory_of(platform: &Platform) -> String {
    platform.to_string().replace('/', "_")
}

/// The fields of a manifest or an index for clients.
///
/// # Errors
/// `Internal` when it cannot be written.
pub(super) fn described(descriptor: &Descriptor) -> Result<HashMap<String, String>, Status> {
    let text =
        serde_json::to_vec(descriptor).map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    Ok(HashMap::from([
        (DIGEST.to_owned(), descriptor.digest.to_string()),
        ("containerimage.descriptor".to_owned(), STANDARD.encode(text)),
    ]))
}
