//! The contexts of a build: the main one and those with names, each read when a step needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use images::registry::Platform;
use model::ImageReference;

use crate::error::BuildError;
use crate::request::{ContextProvider, NamedContext};
use crate::transfer::Source;

/// A tree of files that several stages read at the same time.
pub(super) type SharedTree = Arc<dyn Source + Send + Sync>;

/// The paths of the main context that steps read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContextPaths {
    All,
    /// These paths, relative to its root; none where nothing is read.
    Some(BTreeSet<String>),
}

impl ContextPaths {
    /// Whether all that others read is among it.
    fn cover(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::All, _) => true,
            (Self::Some(_), Self::All) => false,
            (Self::Some(own), Self::Some(others)) => own.is_superset(others),
        }
    }

    /// These and others.
    pub(super) fn with(&self, others: &Self) -> Self {
        match (self, others) {
            (Self::Some(own), Self::Some(others)) => Self::Some(own.union(others).cloned().collect()),
            _ => Self::All,
        }
    }

    /// The paths to request from the client: an empty list means all.
    fn list(&self) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Some(paths) => paths.iter().cloned().collect(),
        }
    }
}

/// The contexts of one build.
pub(super) struct Contexts {
    main: Mutex<Vec<(ContextPaths, SharedTree)>>,
    /// By the names of their images, with the platforms that they are for.
    named: BTreeMap<String, Vec<Named>>,
    provider: Option<Arc<dyn ContextProvider>>,
}

struct Named {
    /// Its name in the request.
    name: String,
    /// None for all platforms.
    platform: Option<Platform>,
    source: NamedContext,
    tree: Mutex<Option<SharedTree>>,
}

impl Contexts {
    /// Makes them of the main context, where it is there already, and of where the others come from. The name of one that
    /// is for one platform alone ends in `::` and that.
    pub(super) fn new(
        main: Option<SharedTree>,
        named: BTreeMap<String, NamedContext>,
        provider: Option<Arc<dyn ContextProvider>>,
    ) -> Self {
        let mut by_image: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        for (name, source) in named {
            let split = name.split_once("::");
            let platform = split.and_then(|(_, platform)| platform.parse().ok());
            let image = image_name(split.map_or(name.as_str(), |(image, _)| image));
            by_image.entry(image).or_default().push(Named { name, platform, source, tree: Mutex::default() });
        }
        let main = main.map(|tree| (ContextPaths::All, tree)).into_iter().collect();
        Self { main: Mutex::new(main), named: by_image, provider }
    }

    /// The main context, limited to these paths; more of it where that is there already.
    ///
    /// # Errors
    /// [`BuildError::Step`] when the client cannot send it; [`BuildError::NoContext`] when there is none.
    pub(super) fn main(&self, paths: &ContextPaths) -> Result<SharedTree, BuildError> {
        let mut trees = self.main.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tree)) = trees.iter().find(|(there, _)| there.cover(paths)) {
            return Ok(Arc::clone(tree));
        }
        let provider = self.provider.as_ref().ok_or(BuildError::NoContext)?;
        let tree = provider.context(None, &paths.list())?;
        trees.push((paths.clone(), Arc::clone(&tree)));
        Ok(tree)
    }

    fn find(&self, name: &str, platform: Option<&Platform>) -> Option<&Named> {
        let named = self.named.get(&image_name(name))?;
        let host = Platform::host();
        let wanted = platform.unwrap_or(&host);
        let is_for = |context: &&Named| context.platform.as_ref().is_some_and(|own| own.is(wanted));
        named.iter().find(is_for).or_else(|| named.iter().find(|context| context.platform.is_none()))
    }

    /// Whether contexts have the name of an image.
    pub(super) fn have(&self, name: &str) -> bool {
        self.named.contains_key(&image_name(name))
    }

    /// Where a named context comes from; `None` when no context for the platform has the name.
    pub(super) fn source(&self, name: &str, platform: Option<&Platform>) -> Option<&NamedContext> {
        self.find(name, platform).map(|context| &context.source)
    }

    /// A named context's tree; `fetch` gets one that lies at an address.
    ///
    /// # Errors
    /// [`BuildError`] when it cannot be had.
    pub(super) fn named(
        &self,
        name: &str,
        platform: Option<&Platform>,
        fetch: impl FnOnce(&str) -> Result<SharedTree, BuildError>,
    ) -> Result<Option<SharedTree>, BuildError> {
        let Some(Named { name, source, tree, .. }) = self.find(name, platform) else { return Ok(None) };
        let make = || match source {
            NamedContext::Image(_) | NamedContext::Held(_) => Ok(None),
            NamedContext::Remote(address) => fetch(address).map(Some),
            NamedContext::Provided => {
                let provider = self.provider.as_ref().ok_or(BuildError::NoContext)?;
                Ok(Some(provider.context(Some(name), &[])?))
            }
        };
        let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
        if tree.is_none() {
            *tree = make()?;
        }
        Ok(tree.clone())
    }
}

/// A name as contexts are compared by it: `docker.io/library/alpine:latest` and `alpine` are one image.
fn image_name(name: &str) -> String {
    let Ok(reference) = ImageReference::parse(name) else { return name.to_owned() };
    let name = reference.to_string();
    name.strip_suffix(":latest").map_or_else(|| name.clone(), str::to_owned)
}
