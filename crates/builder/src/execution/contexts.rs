//! The contexts of a build: the main one and those with names, each read when a step needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::BuildError;
use crate::request::{ContextProvider, NamedContext};
use crate::transfer::Source;

/// A tree of files that several stages read at the same time.
pub(super) type SharedTree = Arc<dyn Source + Send + Sync>;

/// The contexts of one build.
pub(super) struct Contexts {
    main: Mutex<Option<SharedTree>>,
    named: BTreeMap<String, (NamedContext, Mutex<Option<SharedTree>>)>,
    provider: Option<Arc<dyn ContextProvider>>,
    /// What steps read of the main context; empty is all of it.
    pub(super) paths: Vec<String>,
}

impl Contexts {
    /// Makes them of the main context, where it is there already, and of where the others come from.
    pub(super) fn new(
        main: Option<SharedTree>,
        named: BTreeMap<String, NamedContext>,
        provider: Option<Arc<dyn ContextProvider>>,
    ) -> Self {
        let named = named.into_iter().map(|(name, context)| (name, (context, Mutex::default())));
        Self { main: Mutex::new(main), named: named.collect(), provider, paths: Vec::new() }
    }

    /// The main context.
    ///
    /// # Errors
    /// [`BuildError::Step`] when the client cannot send it; [`BuildError::NoContext`] when there is none.
    pub(super) fn main(&self) -> Result<SharedTree, BuildError> {
        load(&self.main, || {
            let provider = self.provider.as_ref().ok_or(BuildError::NoContext)?;
            Ok(provider.context(None, &self.paths)?)
        })
    }

    /// Where a named context comes from; `None` when no context has the name.
    pub(super) fn source(&self, name: &str) -> Option<&NamedContext> {
        self.named.get(name).map(|(source, _)| source)
    }

    /// A named context's tree; `fetch` gets one that lies at an address.
    ///
    /// # Errors
    /// [`BuildError`] when it cannot be had.
    pub(super) fn named(
        &self,
        name: &str,
        fetch: impl FnOnce(&str) -> Result<SharedTree, BuildError>,
    ) -> Result<Option<SharedTree>, BuildError> {
        let Some((source, tree)) = self.named.get(name) else { return Ok(None) };
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

fn load(
    place: &Mutex<Option<SharedTree>>,
    make: impl FnOnce() -> Result<SharedTree, BuildError>,
) -> Result<SharedTree, BuildError> {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    match &*place {
        Some(tree) => Ok(Arc::clone(tree)),
        None => Ok(Arc::clone(place.insert(make()?))),
    }
}
