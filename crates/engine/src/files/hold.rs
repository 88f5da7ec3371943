//! Keeps a container's files while they are read, even if the container or its image is removed meanwhile.

use crate::container::{Container, own_tree::TreeHold};
use crate::error::Error;
use crate::files::service::Files;

/// The layers of a container's root: what of them is open while this value lives is read to its end.
pub(crate) struct HeldFiles {
    _own: TreeHold,
    _image: Vec<images::Layer>,
}

impl Files {
    /// Holds the layers of a container's root.
    ///
    /// # Errors
    /// When the container or its image has gone.
    pub(crate) fn hold(&self, container: &Container) -> Result<HeldFiles, Error> {
        let own = container.tree.hold().ok_or_else(|| gone(container.id().as_str()))?;
        let record = container.record();
        let image = match record.is_sandbox() {
            true => Vec::new(),
            false => self.images.store().layers_of(&record.image).map_err(Error::Image)?,
        };
        Ok(HeldFiles { _own: own, _image: image })
    }

    /// The failure for a client that called the container `reference`: `not found` if the files were removed
    /// meanwhile, otherwise `error`.
    pub(crate) fn unless_gone(&self, container: &Container, reference: &str, error: Error) -> Error {
        let is_known = self.directory.get(container.id()).is_some();
        let is_here = is_known && self.paths.upper(container.id()).exists();
        if is_here { error } else { gone(reference) }
    }
}

fn gone(reference: &str) -> Error {
    Error::NoSuchContainer(reference.to_owned())
}
