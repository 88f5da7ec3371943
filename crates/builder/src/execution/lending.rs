//! Copies borrow what has not changed since from the layer of an earlier one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::{KnownContent, KnownFiles, Layer, LentFile};

use super::lending_layers::Earlier;
use super::state::Build;
use super::trees::StepTree;
use crate::error::BuildError;
use crate::order::Order;
use crate::transfer::{Item, Source};
use crate::tree::{Base, Copied, Ledger, NodeKind};

/// With more directories below them layers lend nothing: overlay stacks no more than five hundred.
const BELOW_LIMIT: usize = 100;

/// A copy whose files a later one may borrow, and the layer that it borrows from.
pub(super) struct Lending {
    copy: String,
    base: Option<(Layer, Earlier)>,
}

impl Lending {
    /// The ledger that the copy is to be recorded in.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger::new(
            self.base.as_ref().map(|(layer, earlier)| Base {
                marks: Arc::clone(&earlier.marks),
                directory: layer.directory(),
            }),
        )
    }
}

impl Build<'_> {
    /// How a copy borrows and lends files: that of one directory of a context does.
    pub(super) fn lending(
        &self,
        tree: Option<&StepTree>,
        items: &[Item],
        copy: impl FnOnce() -> String,
        below: &[PathBuf],
    ) -> Option<Lending> {
        let is_context = tree.is_some_and(|tree| !tree.is_image());
        let is_directory = match items {
            [Item::Local(selected)] => selected.node.is_directory(),
            _ => false,
        };
        let is_graph = self.work.parameters.order == Order::Graph;
        if !is_graph || !is_context || !is_directory || below.len() > BELOW_LIMIT {
            return None;
        }
        let copy = copy();
        let builder = self.work.builder;
        let known = builder.lending.find(&copy);
        let held = known.and_then(|earlier| Some((builder.store.layer(&earlier.layer)?, earlier)));
        Some(Lending { copy, base: held.filter(|(layer, _)| !layer.has_base()) })
    }

    /// Makes a layer of copied files, without those that it borrows.
    ///
    /// # Errors
    /// [`BuildError`] when it cannot be made, or the build is cancelled.
    pub(super) fn adopt_copied(
        &self,
        (lending, ledger): (Lending, Ledger),
        source: &dyn Source,
        upper: &Path,
        below: &[PathBuf],
    ) -> Result<Layer, BuildError> {
        let read = |path: &Path, buffer: &mut Vec<u8>| {
            let file = source.give_into(path, buffer).map_err(io::Error::other)?;
            Ok(file.map_or(KnownContent::Buffered, KnownContent::File))
        };
        let (kept, made, marks) = ledger.into_parts();
        let base = lending.base.as_ref().filter(|_| !kept.is_empty());
        let before = base.map(|(_, earlier)| earlier.all_prefixes()).unwrap_or_default();
        let mut files = KnownFiles::new(&read);
        let digest = |copied: &Copied| source.gives_bytes(&copied.source).then_some(copied.content);
        for copied in made {
            let digest = digest(&copied);
            files.add(&copied.path, copied.source, digest, None);
        }
        for copied in kept {
            let (digest, lent) = (digest(&copied), lent(&copied));
            files.add(&copied.path, copied.source, digest, lent);
        }
        let builder = self.work.builder;
        let lender = base.map(|(layer, _)| (layer, before.as_slice()));
        let adopted = builder.store.adopt_copied(upper, below, lender, files);
        self.check_cancelled()?;
        let (layer, prefixes) = adopted?;
        if let Some((_, earlier)) = base {
            builder.lending.note_borrower(&lending.copy, &earlier.layer, prefixes);
        } else if let Some(marks) = marks.filter(|_| !layer.has_base()) {
            let (marks, prefixes) = (Arc::new(marks), Arc::new(prefixes));
            let earlier = Earlier { layer: layer.diff_id(), marks, prefixes, latest: None };
            builder.lending.remember(lending.copy, earlier);
        }
        Ok(layer)
    }
}

/// A borrowed file as the layer that has it describes it.
fn lent(copied: &Copied) -> Option<LentFile> {
    let metadata = &copied.node.metadata;
    let NodeKind::File { size } = copied.node.kind else { return None };
    let modified = metadata.modified?;
    Some(LentFile {
        mode: metadata.mode,
        user: metadata.user,
        group: metadata.group,
        size,
        seconds: modified.seconds,
        nanoseconds: modified.nanoseconds,
    })
}
