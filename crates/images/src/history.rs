//! Shows how an image was made, as `GET /images/(name)/history` does.

use std::sync::Arc;

use model::Timestamp;
use serde::Serialize;

use crate::document::History;
use crate::store::{ImageRecord, Store};
use crate::{Error, resolve};

/// One step, in the documented form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct HistoryEntry {
    pub id: String,
    pub created: i64,
    pub created_by: String,
    pub tags: Option<Vec<String>>,
    pub size: u64,
    pub comment: String,
}

/// The id of a step whose image is not here: it was made elsewhere.
const MISSING: &str = "<missing>";

impl Store {
    /// Shows the steps of the image that a text names, the newest first.
    ///
    /// # Errors
    /// As [`Store::resolve`], worded as history's.
    pub fn history(&self, text: &str) -> Result<Vec<HistoryEntry>, Error> {
        let mut next = Some(resolve::find(&self.index(), text).map_err(Error::as_lookup)?.0);
        let mut entries = Vec::new();
        while let Some(image) = next {
            let parent = image.parent.and_then(|parent| self.index().images.get(&parent).cloned());
            entries.append(&mut self.own_history(&image, parent.as_deref())?);
            next = parent;
        }
        Ok(entries)
    }

    /// The steps between an image's parent and itself, the newest first.
    fn own_history(
        &self,
        image: &ImageRecord,
        parent: Option<&ImageRecord>,
    ) -> Result<Vec<HistoryEntry>, Error> {
        let config = self.config(&image.config)?;
        let inherited_steps = match parent {
            Some(parent) => self.config(&parent.config)?.history.len(),
            None => 0,
        };
        let inherited_layers = parent.map_or(0, |parent| parent.layers.len());
        let sizes: Vec<u64> = {
            let index = self.index();
            let size = |key: &Arc<str>| index.layers.get(key).map_or(0, |layer| layer.size);
            image.layers.iter().skip(inherited_layers).map(size).collect()
        };
        let mut steps: Vec<History> = config.history.into_iter().skip(inherited_steps).collect();
        if steps.is_empty() {
            // Images of the old format say it of themselves.
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
        let mut entries: Vec<HistoryEntry> = steps
            .into_iter()
            .map(|step| HistoryEntry {
                id: MISSING.to_owned(),
                created: step.created.unwrap_or(Timestamp::NEVER).unix_seconds(),
                created_by: step.created_by,
                tags: None,
                size: if step.empty_layer { 0 } else { sizes.next().unwrap_or_default() },
                comment: step.comment,
            })
            .collect();
        if let Some(newest) = entries.last_mut() {
            let tags = self.tags_of(&image.id);
            newest.id = image.id.hexadecimal();
            newest.tags = (!tags.is_empty()).then_some(tags);
        }
        entries.reverse();
        Ok(entries)
    }
}
