//! The id of an image as answers write it.

use model::Digest;

use crate::version::ApiVersion;

/// 64 hexadecimal digits, behind `sha256:` where the version has the algorithm.
pub(crate) fn image_id(id: &Digest, version: ApiVersion) -> String {
    if version.image_ids_have_algorithm() { id.to_string() } else { id.hexadecimal() }
}
