//! What tests do with images beside others that do the same.

use crate::Client;

/// How the removal of an image ends while others remove, name and use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The image is gone.
    Deleted,
    /// It has lost names.
    Untagged,
    /// Others were faster: the image does not exist.
    Missing,
    /// Others have a use of it that keeps it.
    Kept,
}

/// Why a removal by force is refused: a new image on top of it, a container, a build.
const USES: [&str; 4] = [
    "wasn't deleted",
    "is being created from it",
    "because a build is using it, retry when it is done",
    "is using it, stop it and retry",
];

/// Removes an image by force; whichever client is faster, the answer shows the outcome.
///
/// # Panics
/// When the answer is none of these ends.
pub fn remove_beside_others(client: &Client, name: &str) -> Removal {
    let answer = client.delete(&format!("/images/{name}?force=1"));
    let text = answer.text();
    match answer.status() {
        200 if text.contains("\"Deleted\"") => Removal::Deleted,
        200 if text.contains("\"Untagged\"") => Removal::Untagged,
        404 if text == format!("No such image: {name}\n") => Removal::Missing,
        409 if USES.iter().any(|reason| text.trim_end().ends_with(reason)) => Removal::Kept,
        status => panic!("the removal of {name}: {status}: {text}"),
    }
}
