//! Keeps a container's files there while they are read, whoever removes the container or its image meanwhile.

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

    /// What a failure means to a client who called the container `reference`: that it is gone, where its files
    /// were taken away meanwhile.
    pub(crate) fn unless_gone(&self, container: &Container, reference: &str, error: Error) -> Error {
        let is_known = self.directory.get(container.id()).is_some();
        let is_here = is_known && self.paths.upper(container.id()).exists();
        if is_here { error } else { gone(reference) }
    }
}

fn gone(reference: &str) -> Error {
    Error::NoSuchContainer(reference.to_owned())
}
