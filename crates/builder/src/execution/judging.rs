//! Requests the client's verdict on a source, if it has a policy.

use std::collections::HashMap;

use images::Image;
use images::registry::Platform;
use model::{ErrorKind, ImageReference};

use super::state::Build;
use crate::context::repository_identifier;
use crate::dockerfile::DockerfileError;
use crate::error::BuildError;
use crate::runner::StepError;
use crate::source_policy::{JudgedImage, JudgedSource, SourcePolicy, Verdict};

/// The prefix of the identifiers of images.
const IMAGE: &str = "docker-image://";
/// The attribute that has the address of a repository.
const FULL_ADDRESS: &str = "git.fullurl";
/// How often one source may take the place of another.
const REPLACEMENTS: usize = 16;

/// An image that a client's policy allows.
pub(super) struct AdmittedImage {
    /// The name of the one that is used.
    pub(super) name: String,
    /// The image itself, where it was looked up to be judged: no other may be used.
    pub(super) image: Option<Image>,
}

/// An id of an image without a tag.
#[derive(Debug, thiserror::Error)]
#[error("image {0:?} has no tag by which the client's policy could judge it")]
struct Untagged(String);

/// Has an address judged that nothing can take the place of.
///
/// # Errors
/// [`BuildError::Step`] for one that is denied; [`BuildError::Replacement`] for one that another should take the place of.
pub(super) fn admit(policy: Option<&dyn SourcePolicy>, address: &str) -> Result<(), BuildError> {
    let Some(policy) = policy else { return Ok(()) };
    let source = match repository_identifier(address) {
        Some((identifier, address)) => {
            let attributes = HashMap::from([(FULL_ADDRESS.to_owned(), address)]);
            JudgedSource { identifier, attributes, ..JudgedSource::default() }
        }
        None => JudgedSource { identifier: address.to_owned(), ..JudgedSource::default() },
    };
    match policy.judge(&source)? {
        Verdict::Allowed => Ok(()),
        Verdict::Replaced(_) | Verdict::NeedsImage => Err(BuildError::Replacement(address.to_owned())),
    }
}

/// An image's name with all that is left off elsewhere.
fn full_name(reference: &ImageReference) -> String {
    let ImageReference { repository, tag, digest } = reference;
    let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{}/{}{tag}{digest}", repository.host().unwrap_or("docker.io"), repository.remote_path())
}

impl Build<'_> {
    /// Has an address judged from which files come.
    ///
    /// # Errors
    /// As [`admit`].
    pub(super) fn admit(&self, address: &str) -> Result<(), BuildError> {
        admit(self.work.parameters.policy.as_deref(), address)
    }

    /// Has an image judged; one that an id names is judged by its name.
    ///
    /// # Errors
    /// [`BuildError`] for one that is denied or cannot be looked up, and for the id of an image without a tag.
    pub(super) fn admit_image(
        &self,
        name: &str,
        platform: Option<&Platform>,
        look_up: &dyn Fn(&str) -> Result<Image, BuildError>,
    ) -> Result<AdmittedImage, BuildError> {
        let mut name = name.to_owned();
        let Some(policy) = self.work.parameters.policy.as_deref() else {
            return Ok(AdmittedImage { name, image: None });
        };
        for _ in 0..REPLACEMENTS {
            let mut image = self.find_by_id(&name, platform)?;
            let reference = match &image {
                Some(image) => self.reference_of(image).ok_or_else(|| Untagged(name.clone()))?,
                None => ImageReference::parse(&name).map_err(DockerfileError::from)?.with_default_tag(),
            };
            let mut source = JudgedSource {
                identifier: format!("{IMAGE}{}", full_name(&reference)),
                platform: platform.cloned(),
                ..JudgedSource::default()
            };
            let mut verdict = policy.judge(&source)?;
            if verdict == Verdict::NeedsImage {
                let found = image.map_or_else(|| look_up(&name), Ok)?;
                source.image = Some(self.describe(&found, &reference)?);
                image = Some(found);
                verdict = policy.judge(&source)?;
            }
            match verdict {
                Verdict::Allowed => return Ok(AdmittedImage { name, image }),
                Verdict::Replaced(other) => match other.strip_prefix(IMAGE) {
                    Some(other) => other.clone_into(&mut name),
                    None => return Err(BuildError::Replacement(source.identifier)),
                },
                Verdict::NeedsImage => return Err(BuildError::Replacement(source.identifier)),
            }
        }
        Err(BuildError::Replacement(name))
    }

    /// A name of an image that is here, or of another platform of what it came under.
    fn reference_of(&self, image: &Image) -> Option<ImageReference> {
        let store = &self.work.builder.store;
        store.tags_leading_to(&image.id).iter().find_map(|name| ImageReference::parse(name).ok())
    }

    /// The properties of an image for a policy.
    fn describe(&self, image: &Image, reference: &ImageReference) -> Result<JudgedImage, BuildError> {
        let store = &self.work.builder.store;
        let target = store.target_called(&reference.to_string(), &image.id);
        let digest = target.map_or(image.id, |target| target.digest).to_string();
        Ok(JudgedImage { digest, config: store.document_of(&image.id, &image.config_digest)? })
    }
}

impl From<Untagged> for BuildError {
    fn from(source: Untagged) -> Self {
        StepError::new(ErrorKind::Forbidden, source).into()
    }
}
