//! The trees that steps read files from: contexts, stages and images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::Layer;
use images::registry::Message;
use model::Digest;

use super::contexts::SharedTree;
use super::state::{Build, Work};
use crate::context::{Fetching, fetch_repository, fetch_tree};
use crate::error::BuildError;
use crate::event::{BuildEvent, EventSink, MaterialContent};
use crate::order::Order;
use crate::request::NamedContext;
use crate::transfer::{
    Cancellable, ImageTree, Item, Lent, Outside, Placement, Selected, Source, place, resolve,
};
use crate::tree::Upper;

/// The source of a step's files.
pub(super) enum StepTree {
    Context(SharedTree),
    Image { tree: ImageTree, image: Option<Digest> },
}

impl StepTree {
    pub(super) fn source(&self) -> &dyn Source {
        match self {
            Self::Context(tree) => &**tree,
            Self::Image { tree, .. } => tree,
        }
    }

    pub(super) const fn is_image(&self) -> bool {
        matches!(self, Self::Image { .. })
    }

    /// The tree, unreadable once the build is cancelled.
    pub(super) fn cancellable<'s>(&'s self, build: &'s Build<'_>) -> Cancellable<'s> {
        Cancellable { source: self.source(), cancellation: build.work.session.cancellation }
    }

    /// The treatment of symbolic links that lead out of it.
    pub(super) const fn outside(&self) -> Outside {
        if self.is_image() { Outside::Confined } else { Outside::Forbidden }
    }

    /// Finds one file or directory.
    ///
    /// # Errors
    /// [`BuildError::Transfer`] when it does not exist.
    pub(super) fn find(&self, path: &str, build: &Build<'_>) -> Result<Selected, BuildError> {
        let relative = Path::new(path.trim_start_matches('/'));
        Ok(resolve(&self.cancellable(build), path, relative, self.outside())?)
    }
}

impl Build<'_> {
    /// The tree that `--from` and `from=` name: a context, a stage by name or number, or an image; without a name it
    /// is the main context.
    ///
    /// # Errors
    /// [`BuildError`] when it does not exist.
    pub(super) fn tree_of(&self, from: Option<&str>) -> Result<StepTree, BuildError> {
        let Some(from) = from else {
            return Ok(StepTree::Context(self.work.contexts.main(&self.context_paths)?));
        };
        let from = self.expand(from)?;
        let platform = self.work.parameters.platform.as_ref();
        let fetch = |address: &str| self.fetch_context(address);
        if let Some(tree) = self.work.contexts.named(&from, platform, fetch)? {
            return Ok(StepTree::Context(tree));
        }
        if let Some(NamedContext::Held(id)) = self.work.contexts.source(&from, platform) {
            let store = &self.work.builder.store;
            let layers = store.layers(&store.image(id)?)?;
            let tree = ImageTree::new(layers.iter().rev().flat_map(Layer::directories).collect(), layers);
            return Ok(StepTree::Image { tree, image: Some(*id) });
        }
        let from = match self.work.contexts.source(&from, platform) {
            Some(NamedContext::Image(image)) => image.clone(),
            _ => from,
        };
        let number = from.parse::<usize>().ok();
        if let Some(number) = self.earlier.named(&from).or(number) {
            let found = self.earlier.finished(number)?.ok_or_else(|| self.unbuilt(from, number))?;
            let stage = &found.stage;
            let tree = ImageTree::new(stage.directories(), stage.layers.clone());
            return Ok(StepTree::Image { tree, image: stage.image });
        }
        self.refuse_unbuilt_stage(&from)?;
        let store = &self.work.builder.store;
        let (image, layers) = self.take_image(&from, platform, false, |image| Ok(store.layers(image)?))?;
        let tree = ImageTree::new(store.lower_directories(&image), layers);
        Ok(StepTree::Image { tree, image: Some(image.id) })
    }

    /// Refuses the name of a stage that is not built before the present one, in a graph: it is no image's.
    fn refuse_unbuilt_stage(&self, from: &str) -> Result<(), BuildError> {
        let own = self.stage_ref()?.name.as_deref();
        if self.work.parameters.order == Order::Written {
            return Ok(());
        }
        if own.is_some_and(|own| own.eq_ignore_ascii_case(from)) {
            return Err(BuildError::OwnStage(from.to_owned()));
        }
        if self.earlier.is_later(from) { Err(self.later_stage(from.to_owned())) } else { Ok(()) }
    }

    /// Why no stage of a number is built.
    fn unbuilt(&self, from: String, number: usize) -> BuildError {
        let present = self.earlier.count();
        match self.work.parameters.order {
            Order::Graph if number == present => BuildError::OwnStage(self.stage_called()),
            Order::Graph if number >= self.earlier.total() => BuildError::StageNumber(number),
            Order::Graph | Order::Written => self.later_stage(from),
        }
    }

    /// What the present stage is called in errors.
    fn stage_called(&self) -> String {
        let name = self.stage.as_ref().and_then(|stage| stage.name.clone());
        name.unwrap_or_else(|| format!("stage-{}", self.earlier.count()))
    }

    /// The refusal of a stage that is not built before the present one.
    pub(super) fn later_stage(&self, from: String) -> BuildError {
        BuildError::LaterStage { from, current: self.stage_called() }
    }

    /// Fetches a context that lies at an address.
    fn fetch_context(&self, address: &str) -> Result<SharedTree, BuildError> {
        self.admit(address)?;
        let sink = |event| self.forward_progress(event);
        let (tree, content) = fetch_tree(address, self.fetching(&sink))?;
        if let Some(content) = content {
            self.report_material(address, content);
        }
        Ok(Arc::new(tree))
    }

    /// Fetches a repository for ADD.
    ///
    /// # Errors
    /// [`BuildError::Context`] when it cannot be fetched, or is not at the commit.
    pub(super) fn fetch_repository(
        &self,
        address: &str,
        keeps_git: bool,
        commit: Option<&str>,
    ) -> Result<SharedTree, BuildError> {
        self.admit(address)?;
        let sink = |event| self.forward_progress(event);
        let (tree, actual) = fetch_repository(address, keeps_git, commit, self.fetching(&sink))?;
        self.report_material(address, MaterialContent::Commit(actual));
        Ok(Arc::new(tree))
    }

    /// The parameters of fetching contexts.
    fn fetching<'s>(&'s self, events: &'s dyn EventSink) -> Fetching<'s> {
        let Work { scratch, session, parameters, .. } = self.work;
        let provisions = parameters.provisions.as_deref();
        Fetching {
            scratch,
            events,
            cancellation: session.cancellation,
            provisions: provisions.map(|some| some as _),
            keeps_git: parameters.order == Order::Graph && self.arguments.keep_git(),
        }
    }

    /// Sends the advance of what is fetched.
    pub(super) fn forward_progress(&self, event: BuildEvent) {
        if let BuildEvent::Progress(message) = event {
            self.send_progress(Message { ..message });
        }
    }

    /// Copies a part of a tree into the scratch directory, for a mount; returns its path.
    ///
    /// # Errors
    /// [`BuildError`] when it is not there, or cannot be copied.
    pub(super) fn copy_out(&self, tree: &StepTree, path: &str) -> Result<PathBuf, BuildError> {
        let root = self.scratch_path("mount");
        let mut upper = Upper::create(root.clone(), &[])?;
        let selected = tree.find(path, self)?;
        let placement = Placement::plain(Path::new("/tree"), tree.is_image(), self.work.session.cancellation);
        let source = tree.cancellable(self);
        place(&mut upper, &Lent(&source), &[Item::Local(selected)], &placement)?;
        upper.finish()?;
        Ok(root.join("tree"))
    }
}
