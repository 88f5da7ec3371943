//! Continues from the image of a step that an earlier build has made.

use std::sync::Arc;

use images::Store;
use model::{Digest, ErrorKind};

use super::cache::fingerprint;
use super::commit::Name;
use super::in_flight::Turn;
use super::state::Build;
use crate::error::BuildError;
use crate::event::VertexChange;

impl Build<'_> {
    /// Continues from the cached image of a step; returns the turn to make the step without one.
    ///
    /// A build that needs the same step meanwhile waits until the turn is over, and then finds it.
    ///
    /// # Errors
    /// [`BuildError`] when the cached image cannot be read, or the build is cancelled.
    pub(super) fn probe(&mut self, name: &Name) -> Result<Option<Turn>, BuildError> {
        let wanted = self.container_config(name.command.clone())?;
        let stage = self.stage_ref()?;
        if !self.may_use_cache()? {
            return Ok(Some(Turn::free()));
        }
        let (cache, store) = (Arc::clone(&self.work.builder.cache), self.work.builder.store.clone());
        let parent = stage.image;
        let wanted = fingerprint(&wanted, &stage.platform())?;
        let mut turn = None;
        loop {
            match cache.find(&store, parent.as_ref(), wanted).filter(|found| self.is_of_named(found)) {
                Some(found) if self.go_on_from(&found, &store)? => return Ok(None),
                // It was removed since it was found.
                Some(_) => {}
                None if turn.is_some() => {
                    let is_known = !self.has_named_cache() && self.take_known_layer(name)?;
                    let is_taken = is_known || self.take_from_named(name)?;
                    return Ok(if is_taken { None } else { turn });
                }
                None => turn = Some(cache.in_flight.wait((parent, wanted), self.work.session.cancellation)?),
            }
        }
    }

    /// Whether the request allows the results of earlier builds for the present stage.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn may_use_cache(&self) -> Result<bool, BuildError> {
        let stage = self.stage_ref()?;
        let filter = &self.work.parameters.no_cache_filter;
        let number = self.earlier.count().to_string();
        let is_filtered = filter.iter().any(|wanted| {
            *wanted == number || stage.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        });
        Ok(!self.work.parameters.no_cache && !is_filtered)
    }

    /// Makes a cached image the stage's, unless it is gone.
    fn go_on_from(&mut self, found: &Digest, store: &Store) -> Result<bool, BuildError> {
        let advanced = match store.image(found) {
            Ok(image) => self.stage()?.advance(&image, store),
            Err(error) => Err(error.into()),
        };
        match advanced {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(()) => {
                self.stream(" ---> Using cache\n");
                self.report(VertexChange::Cached);
                self.work.note_found(*found);
                Ok(true)
            }
        }
    }
}
