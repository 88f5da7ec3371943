//! Asks the client whether a source may be used, where it has a policy.

use std::collections::HashMap;

use images::Image;
use images::registry::Platform;
use model::{Digest, ImageReference};

use super::state::Build;
use crate::context::repository_identifier;
use crate::error::BuildError;
use crate::source_policy::{JudgedImage, JudgedSource, SourcePolicy, Verdict};

/// What the identifiers of images begin with.
const IMAGE: &str = "docker-image://";
/// The attribute that has the address of a repository.
const FULL_ADDRESS: &str = "git.fullurl";
/// How often one source may take the place of another.
const REPLACEMENTS: usize = 16;

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

    /// Has an image judged; gives the name of the one that is used.
    ///
    /// # Errors
    /// [`BuildError`] for one that is denied, or cannot be looked up.
    pub(super) fn admit_image(
        &self,
        name: &str,
        platform: Option<&Platform>,
        look_up: &dyn Fn(&str) -> Result<Image, BuildError>,
    ) -> Result<String, BuildError> {
        let mut name = name.to_owned();
        let Some(policy) = self.work.parameters.policy.as_deref() else { return Ok(name) };
        for _ in 0..REPLACEMENTS {
            // An id names what is here; it comes from nowhere.
            if Digest::parse(&name).is_ok() {
                return Ok(name);
            }
            let Ok(reference) = ImageReference::parse(&name) else { return Ok(name) };
            let reference = reference.with_default_tag();
            let mut source = JudgedSource {
                identifier: format!("{IMAGE}{}", full_name(&reference)),
                platform: platform.cloned(),
                ..JudgedSource::default()
            };
            let mut verdict = policy.judge(&source)?;
            if verdict == Verdict::NeedsImage {
                let image = look_up(&name)?;
                let store = &self.work.builder.store;
                let target = store.target_of(&image.id, Some(&reference.repository));
                let digest = target.map_or(image.id, |target| target.digest).to_string();
                let config = store.document_of(&image.id, &image.config_digest)?;
                source.image = Some(JudgedImage { digest, config });
                verdict = policy.judge(&source)?;
            }
            match verdict {
                Verdict::Allowed => return Ok(name),
                Verdict::Replaced(other) => match other.strip_prefix(IMAGE) {
                    Some(other) => other.clone_into(&mut name),
                    None => return Err(BuildError::Replacement(source.identifier)),
                },
                Verdict::NeedsImage => return Err(BuildError::Replacement(source.identifier)),
            }
        }
        Err(BuildError::Replacement(name))
    }
}
