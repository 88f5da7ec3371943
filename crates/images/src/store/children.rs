//! The images that were built on another one: for a build's cache and the filter `ancestor`.

use std::collections::HashSet;

use model::Digest;

use super::Store;

impl Store {
    /// The images whose parent is `parent`, or that have none, the one made last being the last.
    ///
    /// An image that was pulled or loaded may claim to have been made by any command: those are left out
    /// (CVE-2024-24557).
    #[must_use]
    pub fn children(&self, parent: Option<&Digest>) -> Vec<Digest> {
        let index = self.index();
        let own = index
            .images
            .values()
            .filter(|image| image.parent.as_ref() == parent && !index.foreign.contains(&image.id));
        let mut children: Vec<_> = own.map(|image| (image.sequence, image.id)).collect();
        children.sort_unstable();
        children.into_iter().map(|(_, id)| id).collect()
    }

    /// An image with all that were built upon it here, and upon those.
    #[must_use]
    pub fn descendants(&self, id: &Digest) -> HashSet<Digest> {
        let index = self.index();
        let line = |image: &Digest| std::iter::successors(Some(*image), |id| index.images.get(id)?.parent);
        index.images.keys().filter(|image| line(image).any(|above| above == *id)).copied().collect()
    }
}
