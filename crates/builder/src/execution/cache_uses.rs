//! The cache mounts of one step: which directories they use, taken in an order in which no two steps wait for each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::cache_mounts::{CacheKey, CacheUse};
use super::mounts::{PlannedMount, set_access};
use super::state::Build;
use super::trees::StepTree;
use crate::dockerfile::{Access, RunMountKind, Sharing};
use crate::error::BuildError;
use crate::order::Order;

/// The mounts of one cache that use one directory of it.
struct Group<'a> {
    id: String,
    sharing: Sharing,
    beginning: CacheBeginning<'a>,
    /// The numbers of the mounts.
    mounts: Vec<usize>,
}

impl Build<'_> {
    /// Takes what the mounts of a step need of caches into use; returns their directories by the numbers of the mounts.
    ///
    /// Shared and locked mounts of one cache are one use, locked where one of them is: a step never waits for itself. All
    /// steps take caches in the order of their keys, the one that waits first: they never wait for each other either.
    ///
    /// # Errors
    /// [`BuildError`] when one cannot be made, or the build is cancelled while it waits.
    pub(super) fn caches(
        &self,
        planned: &[PlannedMount],
    ) -> Result<(Vec<CacheUse>, BTreeMap<usize, PathBuf>), BuildError> {
        let is_graph = self.work.parameters.order == Order::Graph;
        let namespace = self.arguments.cache_namespace().filter(|_| is_graph);
        let mut groups: BTreeMap<(String, String), Vec<Group<'_>>> = BTreeMap::new();
        for (number, PlannedMount { mount, tree, worth, .. }) in planned.iter().enumerate() {
            let RunMountKind::Cache { id, source, sharing, access, .. } = &mount.kind else { continue };
            let first = tree.as_ref().map(|tree| (tree, source.as_str()));
            let beginning = CacheBeginning { first, worth, access: *access };
            let id = namespace.map_or_else(|| id.clone(), |namespace| format!("{namespace}/{id}"));
            let of_cache = groups.entry((id.clone(), beginning.key())).or_default();
            let joined = of_cache.iter_mut().find(|group| group.sharing != Sharing::Private);
            match joined.filter(|_| *sharing != Sharing::Private) {
                Some(group) => {
                    group.mounts.push(number);
                    if *sharing == Sharing::Locked {
                        group.sharing = Sharing::Locked;
                    }
                }
                None => of_cache.push(Group { id, sharing: *sharing, beginning, mounts: vec![number] }),
            }
        }
        let (mut uses, mut paths) = (Vec::new(), BTreeMap::new());
        for of_cache in groups.values_mut() {
            // Private ones make room for themselves.
            of_cache.sort_by_key(|group| group.sharing == Sharing::Private);
            for group in of_cache {
                let cache = self.cache(group)?;
                paths.extend(group.mounts.iter().map(|number| (*number, cache.path())));
                uses.push(cache);
            }
        }
        Ok((uses, paths))
    }

    fn cache(&self, Group { id, sharing, beginning, .. }: &Group<'_>) -> Result<CacheUse, BuildError> {
        let caches = &self.work.builder.cache_mounts;
        let failed = |error| BuildError::file("make the cache", id)(error);
        let key = CacheKey { id, beginning: &beginning.key() };
        let found = caches.acquire(key, *sharing, self.work.session.cancellation).map_err(failed)?;
        let mut cache = found.ok_or(BuildError::Cancelled)?;
        if !cache.is_new {
            return Ok(cache);
        }
        let made = match beginning.first {
            Some((tree, source)) => self.copy_out(tree, source)?,
            None => {
                let empty = self.scratch_path("cache");
                fs::create_dir(&empty).map_err(failed)?;
                empty
            }
        };
        set_access(&made, beginning.access.unwrap_or(Access::CACHE)).map_err(failed)?;
        cache.fill(&made).map_err(failed)?;
        Ok(cache)
    }
}

/// The initial content of a cache's directory.
struct CacheBeginning<'a> {
    /// The files that it begins with.
    first: Option<(&'a StepTree, &'a str)>,
    /// Identifies their tree.
    worth: &'a str,
    access: Option<Access>,
}

impl CacheBeginning<'_> {
    /// Distinguishes caches of one id that begin in other ways; empty by default.
    fn key(&self) -> String {
        let access = self.access.map(|Access { mode, user, group }| format!("{user}:{group}:{mode:o}"));
        let first = self.first.map(|(_, source)| format!("{}/{source}", self.worth));
        access.into_iter().chain(first).collect::<Vec<_>>().join(",")
    }
}
