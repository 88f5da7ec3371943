//! Why an image is not removed, in the words of engines since 1.24.

use engine::images::{Error, RemovalConflict};
use model::ImageReference;

use crate::version::ApiVersion;
use crate::{ApiError, Call};

/// As many digits of an id are shown.
const SHORT: usize = 12;

/// The error of a removal, in the words of the version.
pub(super) fn removal_failure(error: engine::Error, call: &Call<'_>) -> ApiError {
    in_words(error, &call.name, call.version)
}

fn in_words(error: engine::Error, name: &str, version: ApiVersion) -> ApiError {
    match &error {
        engine::Error::Image(conflict @ Error::RemovalConflict(why))
            if version.removals_have_the_words_of_today() =>
        {
            ApiError::of_kind(conflict.kind(), words(why, name).unwrap_or_else(|| why.to_string()))
        }
        _ => error.into(),
    }
}

/// `None` where there are no other words.
fn words(conflict: &RemovalConflict, name: &str) -> Option<String> {
    const MUST: &str = "must be forced";
    const CANNOT: &str = "cannot be forced";
    let (what, force, why) = match conflict {
        RemovalConflict::SeveralRepositories(id) => {
            (short(id).to_owned(), MUST, "image is referenced in multiple repositories".to_owned())
        }
        RemovalConflict::HasChildren(id) => {
            (short(id).to_owned(), CANNOT, "image has dependent child images".to_owned())
        }
        RemovalConflict::UsedByNew { image, container } => {
            (image.clone(), CANNOT, format!("container {container} is being created from it"))
        }
        RemovalConflict::UsedByBuild(image) => (image.clone(), CANNOT, "a build is using it".to_owned()),
        RemovalConflict::UsedByStopped { image, container }
        | RemovalConflict::UsedByRunning { image, container }
            if !is_id(name, image) =>
        {
            let name = ImageReference::parse(name).ok()?.with_default_tag().to_string();
            (name, MUST, format!("container {container} is using its referenced image {image}"))
        }
        RemovalConflict::UsedByStopped { image, container } => {
            (image.clone(), MUST, format!("image is being used by stopped container {container}"))
        }
        RemovalConflict::UsedByRunning { image, container }
        | RemovalConflict::ForcedUsedByRunning { image, container } => {
            (image.clone(), CANNOT, format!("image is being used by running container {container}"))
        }
        RemovalConflict::Named(_) => return None,
    };
    Some(format!("conflict: unable to delete {what} ({force}) - {why}"))
}

/// Whether a client called an image by its id, of which this is the beginning.
fn is_id(name: &str, image: &str) -> bool {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    !digits.is_empty() && (image.starts_with(digits) || digits.starts_with(image))
}

/// The beginning of an id.
fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..SHORT).unwrap_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_words() {
        let (image, container) = ("0123456789ab".to_owned(), "cafecafecafe".to_owned());
        let whole = format!("sha256:{image}{}", "0".repeat(52));
        let used = || RemovalConflict::UsedByStopped { image: image.clone(), container: container.clone() };
        let said = |conflict: RemovalConflict, name: &str, minor| {
            let error = engine::Error::Image(conflict.into());
            in_words(error, name, ApiVersion::minor(minor)).to_string()
        };
        assert!(said(used(), "app", 23).starts_with("Conflict, cannot delete 0123456789ab because"));
        let by_name = "conflict: unable to delete app:latest (must be forced) - container cafecafecafe is using its \
                       referenced image 0123456789ab";
        assert_eq!(said(used(), "app", 24), by_name);
        let by_id = "conflict: unable to delete 0123456789ab (must be forced) - image is being used by stopped \
                     container cafecafecafe";
        for id in ["0123", &whole, &whole[7..]] {
            assert_eq!(said(used(), id, 55), by_id, "{id}");
        }
        let running =
            || RemovalConflict::ForcedUsedByRunning { image: image.clone(), container: container.clone() };
        let words = "conflict: unable to delete 0123456789ab (cannot be forced) - image is being used by running \
                     container cafecafecafe";
        assert_eq!(said(running(), "0123", 24), words);
        let several = RemovalConflict::SeveralRepositories(whole.clone());
        let words = "conflict: unable to delete 0123456789ab (must be forced) - image is referenced in multiple \
                     repositories";
        assert_eq!(said(several, &whole, 24), words);
        let parent = RemovalConflict::HasChildren(whole[7..].to_owned());
        let words =
            "conflict: unable to delete 0123456789ab (cannot be forced) - image has dependent child images";
        assert_eq!(said(parent, "0123", 24), words);
    }
}
