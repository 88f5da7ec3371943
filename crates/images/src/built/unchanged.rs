//! Images that a build has not changed, and that go out as they came.

use model::Digest;

use crate::Error;
use crate::registry::Index;
use crate::store::{Store, parse_document};

impl Store {
    /// Whether an image goes out as it came, whatever a build says of it: it came from elsewhere, and without attestations,
    /// which are what somebody else says of it.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub fn keeps_its_own(&self, image: &Digest) -> Result<bool, Error> {
        if !self.is_foreign(image) {
            return Ok(false);
        }
        for target in self.targets_of(image) {
            if target.manifest_of(image) == Some(target.digest) {
                continue;
            }
            let Some(document) = self.document(&target.digest)? else { continue };
            let index: Index = parse_document(&target.digest.to_string(), &document)?;
            if !index.has_images_alone() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
