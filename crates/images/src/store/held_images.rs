//! Images that builds go on from: no removal takes them.

use std::sync::Arc;

use model::Digest;

use super::handle::Shared;
use super::{Image, NewImage, Store};
use crate::Error;

/// An image that no removal takes as long as this exists.
pub struct HeldImage {
    shared: Arc<Shared>,
    id: Digest,
}

impl std::fmt::Debug for HeldImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("HeldImage").field(&self.id).finish()
    }
}

impl Store {
    /// Holds an image for a build that continues from it: no removal takes it meanwhile, not by force either.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], also when it is just being removed.
    pub fn hold_image(&self, id: &Digest) -> Result<HeldImage, Error> {
        // A removal plans and marks under the same lock.
        let mut index = self.index_mut();
        if !index.images.contains_key(id) || index.doomed_images.contains(id) {
            return Err(Error::NoSuchImage(id.hexadecimal()));
        }
        *index.held_images.entry(*id).or_default() += 1;
        Ok(HeldImage { shared: Arc::clone(&self.shared), id: *id })
    }

    /// Makes an image without a name, as [`Self::add_image`] does, and holds it.
    ///
    /// # Errors
    /// As [`Self::add_image`].
    pub fn add_held(&self, image: &NewImage<'_>) -> Result<(Image, HeldImage), Error> {
        loop {
            let made = self.add_image(image)?;
            match self.hold_image(&made.id) {
                Ok(held) => return Ok((made, held)),
                // It was removed since: its layers are held, so it is made again.
                Err(Error::NoSuchImage(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for HeldImage {
    fn drop(&mut self) {
        let mut index = self.shared.index_mut();
        if let Some(count) = index.held_images.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                index.held_images.remove(&self.id);
            }
        }
    }
}
