//! COPY and ADD: files of the context, of another stage or image, or of an address.

use std::path::Path;

use images::registry::Message;
use images::registry::progress::Detail;

use super::Build;
use super::commit::{Change, no_operation};
use super::metadata::absolute;
use crate::context::{Advance, fetch_open};
use crate::dockerfile::{Transfer, TransferVerb};
use crate::error::BuildError;
use crate::transfer::{
    Cancellable, ImageTree, Item, Outside, Placement, Remote, Source, TransferError, download, place, select,
    sum,
};
use crate::tree::{Upper, View, resolve_owner};

impl Build<'_> {
    /// Copies files and commits them as a layer, unless an image of it is there.
    ///
    /// # Errors
    /// [`BuildError`] when a source is not there, or cannot be put where it should go.
    pub(super) fn transfer(&mut self, transfer: &Transfer) -> Result<(), BuildError> {
        self.step += 1;
        let destination = self.expand(&transfer.destination)?;
        let tree = transfer.from.as_deref().map(|from| self.tree_of(from)).transpose()?;
        let items = self.items(transfer, tree.as_ref())?;
        let directory = names_directory(&destination);
        if items.is_empty() {
            return Err(TransferError::NoSources.into());
        }
        if items.len() > 1 && !directory {
            return Err(TransferError::DestinationNotDirectory(transfer.verb.name()).into());
        }
        let owner_text = transfer.owner.as_deref().map(|owner| self.expand(owner)).transpose()?;
        let flag = owner_text.as_ref().map(|owner| format!("--chown={owner} ")).unwrap_or_default();
        let worth = sum(&self.cancellable(tree.as_ref()), &items)?;
        let command = no_operation(&format!("{} {flag}{worth} in {destination}", transfer.verb.name()));
        let Some(_turn) = self.probe(&command)? else { return Ok(()) };
        let lower = self.stage_ref()?.directories();
        let owner = owner_text.map(|owner| resolve_owner(&owner, &View::new(lower.clone()))).transpose()?;
        let absolute = absolute(&self.stage_ref()?.config.working_dir, &destination);
        let cancellation = self.session.cancellation;
        let placement = Placement {
            verb: transfer.verb,
            destination: Path::new(&absolute),
            directory,
            owner,
            keeps_owners: tree.is_some(),
            cancellation,
        };
        let root = self.scratch.path(&format!("upper-{}", self.step));
        let mut upper = Upper::create(root.clone(), &lower)?;
        place(&mut upper, &self.cancellable(tree.as_ref()), &items, &placement)?;
        upper.finish()?;
        self.check_cancelled()?;
        let layer = self.builder.store.adopt_layer(&root, &lower)?.finish()?;
        let container = self.step_container(&command)?;
        self.commit(Change { command, container: &container, layer: Some(layer) })
    }

    /// The tree that is copied from: the context where no other is named.
    fn cancellable<'s>(&'s self, tree: Option<&'s ImageTree>) -> Cancellable<'s> {
        let source: &dyn Source = tree.map_or(&self.context, |tree| tree as &dyn Source);
        Cancellable { source, cancellation: self.session.cancellation }
    }

    /// Finds what the sources name; addresses are downloaded.
    fn items(&self, transfer: &Transfer, tree: Option<&ImageTree>) -> Result<Vec<Item>, BuildError> {
        let mut items = Vec::new();
        for (number, word) in transfer.sources.iter().enumerate() {
            let word = self.expand(word)?;
            let address = word.starts_with("http://") || word.starts_with("https://");
            if address && transfer.verb == TransferVerb::Copy {
                return Err(crate::DockerfileError::CopyUrl.into());
            }
            if address {
                items.push(Item::Remote(self.download(&word, number)?));
                continue;
            }
            let outside = if tree.is_some() { Outside::Confined } else { Outside::Forbidden };
            let selected = select(&self.cancellable(tree), &word, outside)?;
            items.extend(selected.into_iter().map(Item::Local));
        }
        Ok(items)
    }

    /// Downloads a source of ADD; the cache is asked by what came.
    fn download(&self, address: &str, number: usize) -> Result<Remote, TransferError> {
        let events = self.session.events;
        let stream = fetch_open(address, self.session.cancellation)?;
        let message = Message { status: "Downloading".to_owned(), id: None, detail: Detail::Absent };
        let total = stream.head.length.unwrap_or(0);
        let modified = stream.head.modified;
        let file = self.scratch.path(&format!("download-{}-{number}", self.step));
        let mut advance = Advance::new(stream, events, message, total);
        let digest = download::keep(&mut advance, &file);
        if let Some(failure) = advance.stream.take_failure() {
            return Err(failure.into());
        }
        let keep = |source| crate::context::FetchError::Keep { address: address.to_owned(), source };
        let digest = digest.map_err(keep)?;
        self.say("\n");
        Ok(Remote { address: address.to_owned(), name: download::name(address), file, digest, modified })
    }

    /// The tree that `--from` names: a stage by name or number, or an image.
    fn tree_of(&self, from: &str) -> Result<ImageTree, BuildError> {
        let from = self.expand(from)?;
        let named =
            |known: &Option<String>| known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(&from));
        if let Some(found) = self.stages.iter().rev().find(|stage| named(&stage.name)) {
            return Ok(ImageTree::new(found.stage.directories(), found.stage.layers.clone()));
        }
        if let Ok(number) = from.parse::<usize>() {
            let found = self.stages.get(number).ok_or_else(|| BuildError::LaterStage(from.clone()))?;
            return Ok(ImageTree::new(found.stage.directories(), found.stage.layers.clone()));
        }
        let image = self.find_image(&from, self.parameters.platform.as_ref(), false)?;
        let layers = self.builder.store.layers(&image)?;
        Ok(ImageTree::new(self.builder.store.lower_directories(&image), layers))
    }
}

/// Whether a destination is a directory by its form.
fn names_directory(destination: &str) -> bool {
    destination.ends_with('/') || matches!(destination.rsplit('/').next(), Some("." | ".."))
}
