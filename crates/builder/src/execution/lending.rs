//! Copies borrow what has not changed since from the layer of an earlier one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::{KnownContent, KnownFiles, Layer, LentFile};

use super::state::Build;
use super::trees::StepTree;
use crate::error::BuildError;
use crate::order::Order;
use crate::transfer::{Given, Item, Source};
use crate::tree::{Base, Copied, Ledger, Marks, NodeKind};

/// With more directories below them layers lend nothing: overlay stacks no more than five hundred.
const BELOW_LIMIT: usize = 100;

/// A copy whose files a later one may borrow, and the layer that it borrows from.
pub(super) struct Lending {
    copy: String,
    base: Option<(Layer, Arc<Marks>)>,
}

impl Lending {
    /// The ledger that the copy is to be recorded in.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger::new(
            self.base
                .as_ref()
                .map(|(layer, marks)| Base { marks: Arc::clone(marks), directory: layer.directory() }),
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
        let held = known.and_then(|(layer, marks)| Some((builder.store.layer(&layer)?, marks)));
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
        let read = |path: &Path| match source.give(path).map_err(io::Error::other)? {
            Given::Bytes(bytes) => Ok(KnownContent::Bytes(bytes)),
            Given::Copy(path) | Given::Link(path) => Ok(KnownContent::File(path)),
        };
        let (kept, made, marks) = ledger.into_parts();
        let base = lending.base.as_ref().map(|(layer, _)| layer).filter(|_| !kept.is_empty());
        let mut files = KnownFiles::new(&read);
        for Copied { path, source, .. } in made {
            files.add(&path, source, None);
        }
        for copied in kept {
            let lent = lent(&copied);
            files.add(&copied.path, copied.source, lent);
        }
        let builder = self.work.builder;
        let adopted = builder.store.adopt_copied(upper, below, base, files);
        self.check_cancelled()?;
        let layer = adopted?;
        if let Some(marks) = marks.filter(|_| base.is_none() && !layer.has_base()) {
            builder.lending.remember(lending.copy, layer.diff_id(), marks);
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
