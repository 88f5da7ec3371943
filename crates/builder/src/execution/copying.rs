//! COPY and ADD: files of the context, of another stage or image, or of an address.

use std::path::Path;
use std::sync::Arc;

use images::registry::Message;
use images::registry::progress::Detail;

use super::commit::{Change, no_operation};
use super::contexts::SharedTree;
use super::metadata::absolute;
use super::state::{Build, Work};
use crate::context::{Advance, fetch_open, fetch_tree};
use crate::dockerfile::{Transfer, TransferVerb};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::request::NamedContext;
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
        let destination = self.expand(&transfer.destination)?;
        let tree = match transfer.from.as_deref() {
            Some(from) => self.tree_of(from)?,
            None => CopiedTree::Context(self.work.contexts.main()?),
        };
        let items = self.items(transfer, &tree)?;
        let directory = names_directory(&destination);
        if items.is_empty() {
            return Err(TransferError::NoSources.into());
        }
        if items.len() > 1 && !directory {
            return Err(TransferError::DestinationNotDirectory(transfer.verb.name()).into());
        }
        let owner_text = transfer.owner.as_deref().map(|owner| self.expand(owner)).transpose()?;
        let flag = owner_text.as_ref().map(|owner| format!("--chown={owner} ")).unwrap_or_default();
        let worth = sum(&self.cancellable(&tree), &items)?;
        let command = no_operation(&format!("{} {flag}{worth} in {destination}", transfer.verb.name()));
        let Some(_turn) = self.probe(&command)? else { return Ok(()) };
        let lower = self.stage_ref()?.directories();
        let owner = owner_text.map(|owner| resolve_owner(&owner, &View::new(lower.clone()))).transpose()?;
        let absolute = absolute(&self.stage_ref()?.config.working_dir, &destination);
        let cancellation = self.work.session.cancellation;
        let placement = Placement {
            verb: transfer.verb,
            destination: Path::new(&absolute),
            directory,
            owner,
            keeps_owners: tree.is_image(),
            cancellation,
        };
        let root = self.scratch_path("upper");
        let mut upper = Upper::create(root.clone(), &lower)?;
        place(&mut upper, &self.cancellable(&tree), &items, &placement)?;
        upper.finish()?;
        self.check_cancelled()?;
        let layer = self.work.builder.store.adopt_layer(&root, &lower)?.finish()?;
        let container = self.step_container(&command)?;
        self.commit(Change { command, container: &container, layer: Some(layer) })
    }

    /// The tree that is copied from, unreadable once the build is cancelled.
    fn cancellable<'s>(&self, tree: &'s CopiedTree) -> Cancellable<'s>
    where
        Self: 's,
    {
        Cancellable { source: tree.source(), cancellation: self.work.session.cancellation }
    }

    /// Finds what the sources name; addresses are downloaded.
    fn items(&self, transfer: &Transfer, tree: &CopiedTree) -> Result<Vec<Item>, BuildError> {
        let mut items = Vec::new();
        for word in &transfer.sources {
            let word = self.expand(word)?;
            let address = word.starts_with("http://") || word.starts_with("https://");
            if address && transfer.verb == TransferVerb::Copy {
                return Err(crate::DockerfileError::CopyUrl.into());
            }
            if address {
                items.push(Item::Remote(self.download(&word)?));
                continue;
            }
            let outside = if tree.is_image() { Outside::Confined } else { Outside::Forbidden };
            let selected = select(&self.cancellable(tree), &word, outside)?;
            items.extend(selected.into_iter().map(Item::Local));
        }
        Ok(items)
    }

    /// Downloads a source of ADD; the cache is asked by what came.
    fn download(&self, address: &str) -> Result<Remote, TransferError> {
        let sink = |event| {
            if let BuildEvent::Progress(message) = event {
                self.send_progress(message);
            }
        };
        let stream = fetch_open(address, self.work.session.cancellation)?;
        let message = Message { status: "Downloading".to_owned(), id: None, detail: Detail::Absent };
        let total = stream.head.length.unwrap_or(0);
        let modified = stream.head.modified;
        let file = self.scratch_path("download");
        let mut advance = Advance::new(stream, &sink, message, total);
        let digest = download::keep(&mut advance, &file);
        if let Some(failure) = advance.stream.take_failure() {
            return Err(failure.into());
        }
        let keep = |source| crate::context::FetchError::Keep { address: address.to_owned(), source };
        let digest = digest.map_err(keep)?;
        self.say("\n");
        Ok(Remote { address: address.to_owned(), name: download::name(address), file, digest, modified })
    }

    /// The tree that `--from` names: a context, a stage by name or number, or an image.
    fn tree_of(&self, from: &str) -> Result<CopiedTree, BuildError> {
        let from = self.expand(from)?;
        if let Some(tree) = self.work.contexts.named(&from, |address| self.fetch_context(address))? {
            return Ok(CopiedTree::Context(tree));
        }
        let from = match self.work.contexts.source(&from) {
            Some(NamedContext::Image(image)) => image.clone(),
            _ => from,
        };
        let number = from.parse::<usize>().ok();
        if let Some(number) = self.earlier.named(&from).or(number) {
            let found = self.earlier.finished(number)?.ok_or(BuildError::LaterStage(from))?;
            let stage = &found.stage;
            return Ok(CopiedTree::Image(ImageTree::new(stage.directories(), stage.layers.clone())));
        }
        let image = self.find_image(&from, self.work.parameters.platform.as_ref(), false)?;
        let layers = self.work.builder.store.layers(&image)?;
        Ok(CopiedTree::Image(ImageTree::new(self.work.builder.store.lower_directories(&image), layers)))
    }

    /// Fetches a context that lies at an address.
    fn fetch_context(&self, address: &str) -> Result<SharedTree, BuildError> {
        let Work { scratch, session, .. } = self.work;
        let sink = |event| {
            if let BuildEvent::Progress(message) = event {
                self.send_progress(message);
            }
        };
        Ok(Arc::new(fetch_tree(address, scratch, &sink, session.cancellation)?))
    }
}

/// What COPY and ADD copy from.
enum CopiedTree {
    Context(SharedTree),
    Image(ImageTree),
}

impl CopiedTree {
    fn source(&self) -> &dyn Source {
        match self {
            Self::Context(tree) => &**tree,
            Self::Image(tree) => tree,
        }
    }

    const fn is_image(&self) -> bool {
        matches!(self, Self::Image(_))
    }
}

/// Whether a destination is a directory by its form.
fn names_directory(destination: &str) -> bool {
    destination.ends_with('/') || matches!(destination.rsplit('/').next(), Some("." | ".."))
}
