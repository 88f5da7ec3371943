//! COPY and ADD: files of the context, of another stage or image, of an address, or of the Dockerfile itself.

use std::path::Path;

use images::Layer;

use super::commit::Change;
use super::copy_identity::{CopyIdentity, Place, Words, names_directory};
use super::metadata::absolute;
use super::state::Build;
use super::trees::StepTree;
use crate::context::is_repository;
use crate::dockerfile::{Directories, DockerfileError, Links, Permissions, Transfer, TransferVerb};
use crate::error::BuildError;
use crate::ignore::IgnorePatterns;
use crate::order::Order;
use crate::pattern::has_wildcard;
use crate::transfer::{
    Dressing, Inline, Item, NoTree, Placement, Selected, Sources, TransferError, check_parent, is_left_out,
    place, select, select_links, select_with_parents, sum, sum_of_directories,
};
use crate::tree::{DefaultGroup, Owner, Position, Reached, Stop, Upper, View, Walk, resolve_owner};

/// A layer of copied files.
struct Copied {
    layer: Layer,
    /// Whether a file took the place of a directory, or the other way round.
    has_replaced: bool,
}

impl Build<'_> {
    /// Copies files and commits them as a layer, unless an image of it is there.
    ///
    /// # Errors
    /// [`BuildError`] when a source is not there, or cannot be put where it should go.
    pub(super) fn transfer(&mut self, transfer: &Transfer) -> Result<(), BuildError> {
        let words = self.transfer_words(transfer)?;
        let tree = match &transfer.from {
            None if !transfer.reads_context() => None,
            Some(from) if from.contains('$') && self.work.parameters.order == Order::Graph => {
                return Err(DockerfileError::VariableFrom(from.clone()).into());
            }
            from => Some(self.tree_of(from.as_deref())?),
        };
        let items = self.items(transfer, tree.as_ref(), &words)?;
        let order = self.work.parameters.order;
        // In a graph a pattern may match nothing.
        if items.is_empty() && order == Order::Written {
            return Err(TransferError::NoSources.into());
        }
        // In a graph they follow each other to the same place.
        if order == Order::Written && items.len() > 1 && !names_directory(&words.destination) {
            return Err(TransferError::DestinationNotDirectory(transfer.verb.name()).into());
        }
        let mut worth = match &tree {
            Some(tree) => sum(&tree.cancellable(self), &items, words.excludes.as_ref())?,
            None => sum(&NoTree, &items, words.excludes.as_ref())?,
        };
        if transfer.rules.directories == Directories::Whole {
            worth.push_str(&sum_of_directories(&items)?);
        }
        check_excludes(words.excludes.as_ref())?;
        let place = self.place(transfer, &words, tree.as_ref(), &items)?;
        let copy = CopyIdentity { transfer, words: &words, place: &place, worth: &worth };
        let mut name = copy.name(self)?;
        let Some(_turn) = self.probe(&name)? else { return Ok(()) };
        let items = self.complete_downloads(items)?;
        let Copied { layer, has_replaced } = self.copy(transfer, tree.as_ref(), &items, (&words, &place))?;
        if has_replaced {
            // In a graph this step fails.
            name.inputs = None;
        }
        let container = self.step_container(&name.command)?;
        self.commit(Change { name, container: &container, layer: Some(layer) })
    }

    /// Determines the destination and owner of the files.
    fn place(
        &self,
        transfer: &Transfer,
        words: &Words,
        tree: Option<&StepTree>,
        items: &[Item],
    ) -> Result<Place, BuildError> {
        let owner = words.owner.as_deref().map(|owner| self.account(owner)).transpose()?;
        let destination = absolute(&self.stage_ref()?.config.working_dir, &words.destination);
        let keeps_owners = owner.is_none() && tree.is_some_and(StepTree::is_image);
        let mut own: Vec<_> = transfer.rules.words().collect();
        if self.work.parameters.order == Order::Graph {
            own.extend((items.iter().filter(|item| may_have_links(item)).count() > 1).then_some("apart"));
            own.extend(self.is_dressed(transfer, words, items, &destination)?.then_some("dressed"));
        }
        Ok(Place { destination, owner, keeps_owners, is_linked: transfer.is_linked, own })
    }

    /// Whether a graph gives the destination the permissions of `--chmod`, or something of a directory whose content it
    /// gets.
    fn is_dressed(
        &self,
        transfer: &Transfer,
        words: &Words,
        items: &[Item],
        destination: &str,
    ) -> Result<bool, BuildError> {
        let mut directories = items.iter().filter_map(|item| match item {
            Item::Local(selected) => Some(&selected.node).filter(|node| node.is_directory()),
            Item::Remote(_) | Item::Inline(_) | Item::Tree(_) => None,
        });
        let gives = match words.mode.as_deref().map(Permissions::parse).transpose()? {
            Some(Permissions::Bits(_)) => true,
            Some(Permissions::Changes(_)) => false,
            None => !transfer.is_linked && directories.any(|node| node.metadata.modified.is_some()),
        };
        // With parents the destination is below the one that is written.
        if !gives || transfer.is_linked || transfer.keeps_parents {
            return Ok(gives);
        }
        let start = Position::root(&View::new(self.stage_ref()?.directories()));
        // Where it cannot be reached the copy fails.
        let reached = Walk::new(Path::new(destination)).run(&start, &mut Stop);
        Ok(!matches!(reached, Ok(Reached::Directory(_))))
    }

    /// Looks up the numbers of an account of the present image.
    ///
    /// # Errors
    /// [`BuildError::Transfer`] when the image does not have it.
    pub(super) fn account(&self, text: &str) -> Result<Owner, BuildError> {
        let default = match self.work.parameters.order {
            Order::Written => DefaultGroup::SameName,
            Order::Graph => DefaultGroup::Primary,
        };
        Ok(resolve_owner(text, &View::new(self.stage_ref()?.directories()), default)?)
    }

    /// Copies what was found into a new layer.
    fn copy(
        &self,
        transfer: &Transfer,
        tree: Option<&StepTree>,
        items: &[Item],
        (words, to): (&Words, &Place),
    ) -> Result<Copied, BuildError> {
        let lower = self.stage_ref()?.directories();
        let permissions = words.mode.as_deref().map(Permissions::parse).transpose()?;
        let placement = Placement {
            verb: transfer.verb,
            destination: Path::new(&to.destination),
            directory: names_directory(&words.destination),
            owner: to.owner,
            keeps_owners: to.keeps_owners,
            permissions: permissions.as_ref(),
            excludes: words.excludes.as_ref(),
            directories: transfer.rules.directories,
            unpacks: transfer.unpacks,
            sources: match self.work.parameters.order {
                Order::Written => Sources::Joined,
                Order::Graph => Sources::Independent,
            },
            dressing: match (self.work.parameters.order, transfer.is_linked) {
                (Order::Written, _) => Dressing::None,
                (Order::Graph, true) => Dressing::Mode,
                (Order::Graph, false) => Dressing::ModeAndTime,
            },
            cancellation: self.work.session.cancellation,
        };
        // A linked layer does not depend on those below.
        let lower = if transfer.is_linked { Vec::new() } else { lower };
        let root = self.scratch_path("upper");
        let mut upper = Upper::create(root.clone(), &lower)?;
        let copy = || format!("{:?} {} {}", transfer.from, words.sources, to.destination);
        let lending = (transfer.rules.directories == Directories::Contents)
            .then(|| self.lending(tree, items, copy, &lower))
            .flatten();
        if let Some(lending) = &lending {
            upper.record(lending.ledger());
        }
        if !transfer.rules.makes_parents {
            check_parent(&upper, Path::new(&to.destination))?;
        }
        match tree {
            Some(tree) => place(&mut upper, &tree.cancellable(self), items, &placement)?,
            None => place(&mut upper, &NoTree, items, &placement)?,
        }
        let has_replaced = upper.has_replaced();
        let ledger = upper.take_ledger();
        upper.finish()?;
        self.check_cancelled()?;
        let layer = match (tree, lending.zip(ledger)) {
            (Some(tree), Some(recorded)) => {
                self.adopt_copied(recorded, &tree.cancellable(self), &root, &lower)?
            }
            _ => self.work.builder.store.adopt_layer(&root, &lower)?.finish()?,
        };
        Ok(Copied { layer, has_replaced })
    }

    /// Finds what the sources name; addresses are downloaded.
    fn items(
        &self,
        transfer: &Transfer,
        tree: Option<&StepTree>,
        words: &Words,
    ) -> Result<Vec<Item>, BuildError> {
        let order = self.work.parameters.order;
        let mut items = Vec::new();
        let mut documents = Vec::new();
        for document in &transfer.documents {
            let content = &document.content;
            let content = if document.expands { self.expand_document(content)? } else { content.clone() };
            documents.push(Item::Inline(Inline { name: document.name.clone(), content }));
        }
        if order == Order::Written {
            items.append(&mut documents);
        }
        let checksum = words.checksum.as_deref();
        for word in &transfer.sources {
            let word = self.expand(word)?;
            let address = word.starts_with("http://") || word.starts_with("https://");
            if address && transfer.verb == TransferVerb::Copy {
                return Err(DockerfileError::CopyUrl.into());
            }
            if transfer.verb == TransferVerb::Add && is_repository(&word) {
                items.push(Item::Tree(self.fetch_repository(&word, transfer.keeps_git, checksum)?));
                continue;
            }
            if address {
                items.push(Item::Remote(self.download(&word, checksum)?));
                continue;
            }
            if checksum.is_some() {
                return Err(DockerfileError::ChecksumOfFile.into());
            }
            let Some(tree) = tree else { return Err(BuildError::NoContext) };
            let word = if order == Order::Graph { within_root(&word) } else { word };
            let select = match transfer.rules.links {
                Links::Kept => select_links,
                Links::Followed if transfer.keeps_parents => select_with_parents,
                Links::Followed => select,
            };
            let selected = select(&tree.cancellable(self), &word, tree.outside())?;
            if selected.is_empty() && !transfer.rules.may_match_nothing {
                return Err(TransferError::NoSuchSource(word).into());
            }
            // In a graph a file that is named, and not matched, is meant.
            let is_named = order == Order::Graph && !has_wildcard(&word);
            let is_kept = |selected: &Selected| {
                let name = Path::new(&selected.name);
                let excludes = words.excludes.as_ref().filter(|_| !selected.node.is_directory());
                is_named || !is_left_out(excludes, name, &selected.node)
            };
            items.extend(selected.into_iter().filter(is_kept).map(Item::Local));
        }
        items.append(&mut documents);
        Ok(items)
    }
}

impl Transfer {
    /// Whether a source is a file of the context, or may be one.
    fn reads_context(&self) -> bool {
        let is_address = |source: &str| {
            source.starts_with("http://") || source.starts_with("https://") || is_repository(source)
        };
        self.from.is_some() || self.sources.iter().any(|source| source.contains('$') || !is_address(source))
    }
}

/// Refuses patterns that left nothing out any more because they were compared too often.
fn check_excludes(excludes: Option<&IgnorePatterns>) -> Result<(), TransferError> {
    if excludes.is_some_and(IgnorePatterns::is_exhausted) {
        Err(TransferError::ExcludeTooSlow)
    } else {
        Ok(())
    }
}

/// A source whose `..` lead no higher than the root of what is copied from.
fn within_root(word: &str) -> String {
    if !word.split('/').any(|name| name == "..") {
        return word.to_owned();
    }
    let end = if names_directory(word) { "/" } else { "" };
    format!("{}{end}", absolute("/", word).trim_matches('/'))
}

/// Whether an item may be, or hold, a file with several names.
fn may_have_links(item: &Item) -> bool {
    match item {
        Item::Local(selected) => selected.node.is_directory() || selected.node.shared.is_some(),
        Item::Tree(_) => true,
        Item::Remote(_) | Item::Inline(_) => false,
    }
}
