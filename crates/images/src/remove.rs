//! Removes names and images, as `DELETE /images/(name)` does.

use std::sync::Arc;

use model::{ContainerId, Digest, ImageReference};
use serde::Serialize;

use crate::Error;
use crate::error::RemovalConflict;
use crate::resolve::{self, FoundBy};
use crate::store::{ImageRecord, Index, Name, Store, names_of};

/// A container's use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The container.
    pub container: ContainerId,
    /// The image it was made of.
    pub image: Digest,
    /// Whether it runs, paused or not.
    pub running: bool,
}

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also with names in several repositories, and when stopped containers use it.
    pub force: bool,
    /// Leave the unnamed images it was built on.
    pub keep_parents: bool,
}

/// One thing that was done, in the documented form and order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Removal {
    /// A name was taken away: `repository:tag` or `repository@digest`.
    Untagged(String),
    /// The image with this id is gone.
    Deleted(String),
}

impl Store {
    /// Removes a name, or an image with all its names and its unnamed parents. `uses` are the
    /// containers as they are now; the caller keeps new ones from being made meanwhile.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the image is in use, has children or several names.
    pub fn remove(
        &self,
        text: &str,
        options: RemoveOptions,
        uses: &[ImageUse],
    ) -> Result<Vec<Removal>, Error> {
        if text.is_empty() {
            return Err(Error::BlankName);
        }
        let writing = self.begin_change();
        let (names, doomed) = {
            let index = self.index();
            plan(&index, text, options, uses)?
        };
        let shown = names.iter().map(|name| Removal::Untagged(name.shown()));
        let deleted = doomed.iter().map(|image| Removal::Deleted(image.id.hexadecimal()));
        let removals = shown.chain(deleted).collect();
        writing.remove(&names, &doomed)?;
        Ok(removals)
    }
}

type Doomed = Vec<Arc<ImageRecord>>;

/// Decides what goes: names, then images in order.
fn plan(
    index: &Index,
    text: &str,
    options: RemoveOptions,
    uses: &[ImageUse],
) -> Result<(Vec<Name>, Doomed), Error> {
    let (image, found_by) = resolve::find(index, text)?;
    let all = names_of(index, &image.id);
    let names = match found_by {
        FoundBy::Id => {
            let several = all.windows(2).any(|pair| pair[0].repository() != pair[1].repository());
            if several && !options.force {
                return Err(RemovalConflict::SeveralRepositories(text.to_owned()).into());
            }
            all
        }
        FoundBy::Name => {
            let named = name_of(text)?;
            let rest: Vec<&Name> = all.iter().filter(|name| **name != named).collect();
            let other_tag = rest.iter().any(|name| matches!(name, Name::Tag(..)));
            // The digest of a pulled image goes with its last tag.
            let keeps_digest = matches!(named, Name::Digest(..)) && !rest.is_empty();
            if other_tag || keeps_digest {
                return Ok((vec![named], Vec::new()));
            }
            std::iter::once(named.clone()).chain(all.into_iter().filter(|name| *name != named)).collect()
        }
    };
    check_uses(index, &image, options, uses)?;
    if index.has_children(&image.id) {
        if names.is_empty() {
            return Err(RemovalConflict::HasChildren(image.id.hexadecimal()).into());
        }
        return Ok((names, Vec::new()));
    }
    let mut doomed = vec![image];
    if !options.keep_parents {
        doomed_parents(index, &mut doomed, uses);
    }
    Ok((names, doomed))
}

/// Unnamed parents that nothing else is built on, and no container uses.
fn doomed_parents(index: &Index, doomed: &mut Doomed, uses: &[ImageUse]) {
    while let Some(last) = doomed.last() {
        let Some(parent) = last.parent.and_then(|parent| index.images.get(&parent)) else { break };
        let others =
            index.images.values().any(|image| image.parent == Some(parent.id) && image.id != last.id);
        let used = uses.iter().any(|usage| usage.image == parent.id);
        if others || used || !names_of(index, &parent.id).is_empty() {
            break;
        }
        doomed.push(Arc::clone(parent));
    }
}

/// Refuses when a container uses the image or one that is built on it.
fn check_uses(
    index: &Index,
    image: &ImageRecord,
    options: RemoveOptions,
    uses: &[ImageUse],
) -> Result<(), RemovalConflict> {
    let concerned = |usage: &&ImageUse| is_ancestor(index, &image.id, usage.image);
    let short = image.id.short();
    let used: Vec<&ImageUse> = uses.iter().filter(concerned).collect();
    let running = used.iter().find(|usage| usage.running);
    match (running, used.first()) {
        (Some(usage), _) => {
            let container = usage.container.short().to_owned();
            Err(if options.force {
                RemovalConflict::ForcedUsedByRunning { image: short, container }
            } else {
                RemovalConflict::UsedByRunning { image: short, container }
            })
        }
        (None, Some(usage)) if !options.force => Err(RemovalConflict::UsedByStopped {
            image: short,
            container: usage.container.short().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whether `used` is the image or built on it.
fn is_ancestor(index: &Index, image: &Digest, used: Digest) -> bool {
    let mut next = Some(used);
    while let Some(id) = next {
        if id == *image {
            return true;
        }
        next = index.images.get(&id).and_then(|record| record.parent);
    }
    false
}

fn name_of(text: &str) -> Result<Name, Error> {
    let reference = ImageReference::parse(text)?;
    let repository = reference.repository.to_string();
    Ok(match reference.digest {
        Some(digest) => Name::Digest(repository, digest),
        None => Name::Tag(repository, reference.tag_or_latest().to_string()),
    })
}
