//! Pinned images, which the kubelet does not remove for space: those of the names that the daemon was given.

use std::collections::BTreeSet;

use model::{ImageReference, qualified};

/// The names, in full.
pub(super) struct Pinned(BTreeSet<String>);

impl Pinned {
    /// Those of the daemon's flags.
    pub(super) fn of(names: &[ImageReference]) -> Self {
        Self(names.iter().map(|name| qualified(&name.to_string())).collect())
    }

    /// Whether an image with this name in full is to be kept.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}
