//! Shows how an image was made, step by step.

use std::sync::Arc;

use model::{Digest, Timestamp};

use crate::Error;
use crate::document::History;
use crate::registry::Platform;
use crate::store::{ImageRecord, Store};

/// One step of how an image was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// The image that the step ended with; `None` when it was made elsewhere and is not here.
    pub image: Option<Digest>,
    /// When it was made, if its image records that.
    pub created: Option<Timestamp>,
    /// The command that made it.
    pub created_by: String,
    /// The image's names with a tag.
    pub tags: Vec<String>,
    /// The bytes of its layer's files.
    pub size: u64,
    /// The comment of its makers.
    pub comment: String,
}

impl Store {
    /// Shows the steps of the image that a text names, or of the same index the one for a platform; the newest first.
    ///
    /// # Errors
    /// As [`Store::resolve_for`], worded as history's.
    pub fn history(&self, text: &str, platform: Option<&Platform>) -> Result<Vec<HistoryStep>, Error> {
        let id = match platform {
            Some(_) => self.resolve_for(text, platform).map_err(Error::as_lookup)?.id,
            None => self.resolve_id(text).map_err(Error::as_lookup)?,
        };
        let mut next = self.index().images.get(&id).cloned();
        let mut entries = Vec::new();
        // The newest image whose step was not listed: the next entry lists it.
        let mut hidden: Option<Arc<ImageRecord>> = None;
        while let Some(image) = next {
            let parent = image.parent.and_then(|parent| self.index().images.get(&parent).cloned());
            let mut own = self.own_history(&image, parent.as_deref())?;
            match own.first_mut() {
                None => hidden = hidden.or(Some(image)),
                Some(newest) => self.show_image(newest, &hidden.take().unwrap_or(image)),
            }
            entries.append(&mut own);
            next = parent;
        }
        Ok(entries)
    }

    fn show_image(&self, entry: &mut HistoryStep, image: &ImageRecord) {
        let is_step = self.index().steps.contains_key(&image.id);
        entry.image = Some(image.id).filter(|_| !is_step);
        entry.tags = self.tags_of(&image.id);
    }

    /// The steps between an image's parent and itself, the newest first; none where the image's makers show none.
    fn own_history(
        &self,
        image: &ImageRecord,
        parent: Option<&ImageRecord>,
    ) -> Result<Vec<HistoryStep>, Error> {
        let config = self.with_config(image)?.config;
        let inherited_steps = match parent {
            Some(parent) => self.with_config(parent)?.config.history.len(),
            None => 0,
        };
        let inherited_layers = parent.map_or(0, |parent| parent.layers.len());
        let sizes: Vec<u64> = {
            let index = self.index();
            let size = |key: &Arc<str>| index.layers.get(key).map_or(0, |layer| layer.size);
            image.layers.iter().skip(inherited_layers).map(size).collect()
        };
        let mut steps: Vec<History> = config.history.into_iter().skip(inherited_steps).collect();
        if steps.is_empty() && config.steps.is_empty() {
            // Images of the old format have it in a field of their own.
            let command = config.container_config.and_then(|config| config.cmd);
            steps.push(History {
                created: config.created,
                created_by: command.map(|command| command.0.join(" ")).unwrap_or_default(),
                comment: config.comment,
                empty_layer: sizes.is_empty(),
                ..History::default()
            });
        }
        let mut sizes = sizes.into_iter();
        let mut entries: Vec<HistoryStep> = steps
            .into_iter()
            .map(|step| HistoryStep {
                image: None,
                created: step.created,
                created_by: step.created_by,
                tags: Vec::new(),
                size: if step.empty_layer { 0 } else { sizes.next().unwrap_or_default() },
                comment: step.comment,
            })
            .collect();
        entries.reverse();
        Ok(entries)
    }
}
