//! The build cache, as clients list and prune it: the directories of cache mounts, and steps.

use std::io;

use images::BuildStep;
use model::{Digest, Timestamp, without_credentials};

use super::cache_mounts::CacheMount;
use super::state::{Builder, Work};
use crate::error::BuildError;

/// The hexadecimal digits of an image's id that its record shows.
const ID_DIGITS: usize = 25;

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// A step of builds.
    Step,
    /// A directory of `RUN --mount=type=cache`.
    Mount,
    /// A directory that a client has sent.
    Received,
}

impl CacheKind {
    /// The name for clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Step => "regular",
            Self::Mount => "exec.cachemount",
            Self::Received => "source.local",
        }
    }
}

/// Something that is kept of builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRecord {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: CacheKind,
    /// The ids of the records that it is built on.
    pub parents: Vec<String>,
    /// A description.
    pub description: String,
    /// The bytes that it takes.
    pub size: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When a build used it last.
    pub used: Option<Timestamp>,
    /// How many builds have used it.
    pub uses: u64,
    /// Whether one uses it now.
    pub in_use: bool,
    /// Whether an image needs the same files: they stay when the record goes.
    pub shared: bool,
}

/// How much room a prune makes; without any limit it takes all that it may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheRoom {
    /// Bytes of caches that may stay in any case.
    pub reserved: u64,
    /// Bytes of caches that may stay.
    pub most: u64,
    /// Bytes that are to be free on the disk.
    pub free: u64,
}

impl CacheRoom {
    fn is_enough(&self, total: u64, free: u64) -> bool {
        if total <= self.reserved && self.reserved > 0 {
            return true;
        }
        let has_limit = self.most > 0 || self.free > 0;
        has_limit && (self.most == 0 || total <= self.most) && (self.free == 0 || free >= self.free)
    }
}

/// The selection of a prune.
pub struct CachePrune<'a> {
    /// How much room it makes.
    pub room: CacheRoom,
    /// Whether steps are removed too whose files images need.
    pub all: bool,
    /// The records that are meant.
    pub is_meant: &'a (dyn Fn(&CacheRecord) -> bool + 'a),
}

impl std::fmt::Debug for CachePrune<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CachePrune").field("room", &self.room).finish_non_exhaustive()
    }
}

/// A record, and what it is here.
struct Kept {
    record: CacheRecord,
    thing: Thing,
}

enum Thing {
    /// A directory, by its name.
    Mount(String),
    Step(Digest),
}

impl Builder {
    /// The build cache's records, the longest unused first.
    ///
    /// # Errors
    /// `Internal` when it cannot be read.
    pub fn cache_records(&self) -> Result<Vec<CacheRecord>, BuildError> {
        Ok(self.kept()?.into_iter().map(|kept| kept.record).collect())
    }

    /// Removes what is meant and what nothing uses, the longest unused first, until there is room enough; returns the
    /// records of what is gone.
    ///
    /// # Errors
    /// `Internal` when something cannot be removed.
    pub fn prune_cache(&self, prune: &CachePrune<'_>) -> Result<Vec<CacheRecord>, BuildError> {
        let failed = |error| BuildError::file("prune", &self.directory)(error);
        self.forget_lost_layers().map_err(failed)?;
        let kept = self.kept()?;
        let mut total: u64 = kept.iter().map(|kept| kept.record.size).sum();
        let mut free = self.free().map_err(failed)?;
        let is_meant = |kept: &Kept| {
            let record = &kept.record;
            !record.in_use && (prune.all || !record.shared) && (prune.is_meant)(record)
        };
        let mut chosen = Vec::new();
        for kept in kept.into_iter().filter(is_meant) {
            if prune.room.is_enough(total, free) {
                break;
            }
            // What an image needs too frees nothing.
            let freed = if kept.record.shared { 0 } else { kept.record.size };
            total -= kept.record.size;
            free += freed;
            chosen.push(kept);
        }
        let steps = chosen.iter().filter_map(|kept| match kept.thing {
            Thing::Step(image) => Some(image),
            Thing::Mount(_) => None,
        });
        let gone = self.store.remove_build_steps(&steps.collect::<Vec<_>>())?;
        if !gone.is_empty() {
            self.forget_placed_layers().map_err(failed)?;
            self.forget_downloads().map_err(failed)?;
        }
        let mut records = Vec::new();
        for Kept { record, thing } in chosen {
            let is_gone = match thing {
                Thing::Step(image) => gone.contains(&image),
                Thing::Mount(name) => self.cache_mounts.remove(&name).map_err(failed)?,
            };
            if is_gone {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// Notes which steps a build has used instead of making them.
    pub(super) fn note_uses(&self, work: &Work<'_>) {
        let found = work.found.lock().map(|found| found.clone()).unwrap_or_default();
        if let Err(error) = self.store.note_uses(&found) {
            tracing::warn!(%error, "the use of a build's steps is not noted");
        }
    }

    fn kept(&self) -> Result<Vec<Kept>, BuildError> {
        let mounts = self.cache_mounts.list().map_err(BuildError::file("read", &self.directory))?;
        let mounts = mounts.into_iter().map(|mount| {
            let name = mount.name.clone();
            Kept { record: record_of_mount(mount), thing: Thing::Mount(name) }
        });
        let steps = self.store.build_steps()?.into_iter();
        let steps = steps.map(|step| Kept { thing: Thing::Step(step.id), record: record_of_step(step) });
        let mut kept: Vec<Kept> = mounts.chain(steps).collect();
        // Stable: no step comes before those that are built on it.
        kept.sort_by_key(|kept| kept.record.used);
        Ok(kept)
    }

    /// The free bytes of the file system.
    fn free(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(&self.directory)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

fn record_of_mount(mount: CacheMount) -> CacheRecord {
    CacheRecord {
        description: format!("cached mount {}", mount.id),
        id: mount.name,
        kind: CacheKind::Mount,
        parents: Vec::new(),
        size: mount.size,
        created: mount.created.map(Timestamp::from),
        used: mount.used.map(Timestamp::from),
        uses: mount.uses,
        in_use: mount.in_use,
        shared: false,
    }
}

fn record_of_step(step: BuildStep) -> CacheRecord {
    let id = |image: &Digest| image.hexadecimal().chars().take(ID_DIGITS).collect::<String>();
    CacheRecord {
        id: id(&step.id),
        kind: CacheKind::Step,
        parents: step.parent.iter().map(id).collect(),
        description: without_credentials(&step.command),
        size: step.size,
        created: Some(step.created),
        used: step.used,
        uses: step.uses,
        in_use: step.in_use,
        shared: step.shared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_enough_by_every_limit_that_is_given() {
        let room = |reserved, most, free| CacheRoom { reserved, most, free };
        for (room, total, free, want) in [
            (room(0, 0, 0), 0, 0, false),
            (room(10, 0, 0), 10, 0, true),
            (room(10, 0, 0), 11, 0, false),
            (room(0, 10, 0), 10, 0, true),
            (room(0, 10, 5), 10, 4, false),
            (room(0, 10, 5), 10, 5, true),
            (room(0, 0, 5), 100, 5, true),
        ] {
            assert_eq!(room.is_enough(total, free), want, "{room:?} {total} {free}");
        }
    }
}
