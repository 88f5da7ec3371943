//! The images that were built on another one: where a build's cache looks.

use model::Digest;

use super::Store;

impl Store {
    /// The images whose parent is `parent`, or that have none, the one made last being the last.
    #[must_use]
    pub fn children(&self, parent: Option<&Digest>) -> Vec<Digest> {
        let index = self.index();
        let own = index.images.values().filter(|image| image.parent.as_ref() == parent);
        let mut children: Vec<_> = own.map(|image| (image.sequence, image.id)).collect();
        children.sort_unstable();
        children.into_iter().map(|(_, id)| id).collect()
    }
}
