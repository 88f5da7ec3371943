//! Removes names and images.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Digest, ImageReference};

use crate::Error;
use crate::error::RemovalConflict;
use crate::resolve::{self, FoundBy};
use crate::store::{Departure, ImageRecord, Index, Name, Store, names_of};
use crate::uses::{ImageUse, UseKind};

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also with names in several repositories, and when stopped containers use it.
    pub force: bool,
    /// Also with names in several repositories, but not when containers use it.
    pub all_names: bool,
    /// By force takes the name alone of an image that running containers use, where it was found by that name.
    pub names_in_use: bool,
    /// Takes the name alone of an image that others are built on, also when containers use those.
    pub names_of_parents: bool,
    /// Leave the unnamed images it was built on.
    pub keep_parents: bool,
    /// Not when it has a name, found by id.
    pub only_unnamed: bool,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// A name was removed: `repository:tag` or `repository@digest`.
    Untagged(String),
    /// The image with this id is gone.
    Deleted(Digest),
}

impl Store {
    /// Removes a name, or an image with all its names and its unnamed parents. An image that stopped
    /// containers use loses its names with `force`: they start, are copied from and committed as before, and
    /// it is removed with the last of them, see [`Store::remove_leaving`].
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the image is in use, has children or several names.
    pub fn remove(&self, text: &str, options: RemoveOptions) -> Result<Vec<Removal>, Error> {
        if text.is_empty() {
            return Err(Error::BlankName);
        }
        let writing = self.begin_change();
        let departure = {
            // Users of an image wait for this lock, and find the image marked for removal.
            let mut index = self.index_mut();
            let departure = plan(&index, text, options, &self.uses())?;
            index.doomed_images.extend(departure.images.iter().map(|image| image.id));
            departure
        };
        let shown = departure.names.iter().map(|name| Removal::Untagged(name.shown()));
        let images = departure.images.iter().map(|image| image.id);
        let deleted = departure.step.into_iter().chain(images).map(Removal::Deleted);
        let removals = shown.chain(deleted).collect();
        writing.apply(departure)?;
        Ok(removals)
    }

    /// Whether images wait for the last container that uses them to go.
    #[must_use]
    pub fn has_leaving(&self) -> bool {
        !self.index().leaving.is_empty()
    }

    /// Removes the images that were removed by force while stopped containers used them and that none
    /// uses any more.
    ///
    /// # Errors
    /// `Internal` when the disk fails.
    pub fn remove_leaving(&self) -> Result<Vec<Removal>, Error> {
        let mut removals = Vec::new();
        while self.has_leaving() {
            let writing = self.begin_change();
            let doomed = {
                let mut index = self.index_mut();
                let uses = self.uses();
                let is_gone = |id: &&Digest| is_free(&index, id, &uses) && !index.is_led_to_beside(id, &[]);
                let free = index.leaving.iter().find(is_gone).and_then(|id| index.images.get(id)).cloned();
                let Some(image) = free else { break };
                let mut doomed = vec![image];
                doomed_parents(&index, &mut doomed, &uses);
                index.doomed_images.extend(doomed.iter().map(|image| image.id));
                doomed
            };
            removals.extend(doomed.iter().map(|image| Removal::Deleted(image.id)));
            writing.remove(Vec::new(), doomed)?;
        }
        Ok(removals)
    }
}

type Doomed = Vec<Arc<ImageRecord>>;

/// Decides what goes.
fn plan(index: &Index, text: &str, options: RemoveOptions, uses: &[ImageUse]) -> Result<Departure, Error> {
    let (image, found_by) = resolve::find(index, text)?;
    let all = names_of(index, &image.id);
    let names = match found_by {
        FoundBy::Id => {
            let several = all.windows(2).any(|pair| pair[0].repository() != pair[1].repository())
                || (all.is_empty() && index.is_led_to_beside(&image.id, &[]));
            let is_named = !all.is_empty() || index.is_led_to_beside(&image.id, &[]);
            if options.only_unnamed && is_named {
                return Err(RemovalConflict::Named(image.id.hexadecimal()).into());
            }
            if several && !options.force && !options.all_names {
                return Err(RemovalConflict::SeveralRepositories(text.to_owned()).into());
            }
            all
        }
        FoundBy::Name => {
            let named = name_of(text)?;
            let rest: Vec<&Name> = all.iter().filter(|name| **name != named).collect();
            let other_tag = rest.iter().any(|name| matches!(name, Name::Tag(..)));
            // The digest of a pulled image is removed with its last tag.
            let keeps_digest = matches!(named, Name::Digest(..)) && !rest.is_empty();
            if other_tag || keeps_digest {
                let digests = digests_left_alone(&named, &rest);
                let names: Vec<Name> = std::iter::once(named).chain(digests).collect();
                let (images, leaving) = free_and_leaving(index, platforms_left(index, &image, &names), uses);
                return Ok(Departure { names, images, leaving, ..Departure::default() });
            }
            std::iter::once(named.clone()).chain(all.into_iter().filter(|name| *name != named)).collect()
        }
    };
    let runs =
        |usage: &ImageUse| usage.kind == UseKind::Running && is_ancestor(index, &image.id, usage.image);
    if options.force && options.names_in_use && found_by == FoundBy::Name && uses.iter().any(runs) {
        return Ok(Departure { names, ..Departure::default() });
    }
    let platforms = platforms_left(index, &image, &names);
    // Another name has it for its platform.
    if !names.is_empty() && index.is_led_to_beside(&image.id, &names) {
        platforms.iter().try_for_each(|platform| check_uses(index, platform, options, uses))?;
        let (images, leaving) = free_and_leaving(index, platforms, uses);
        return Ok(Departure { names, images, leaving, ..Departure::default() });
    }
    let is_used = uses.iter().any(|usage| usage.image == image.id);
    let is_parent = index.has_visible_children(&image.id);
    if options.names_of_parents && found_by == FoundBy::Name && is_parent && !is_used {
        return Ok(Departure { names, ..Departure::default() });
    }
    check_uses(index, &image, options, uses)?;
    platforms.iter().try_for_each(|platform| check_uses(index, platform, options, uses))?;
    let (free, mut leaving) = free_and_leaving(index, platforms, uses);
    if uses.iter().any(|usage| is_ancestor(index, &image.id, usage.image)) {
        leaving.push(image.id);
        return Ok(Departure { names, images: free, leaving, ..Departure::default() });
    }
    if index.has_visible_children(&image.id) {
        if names.is_empty() {
            return Err(RemovalConflict::HasChildren(image.id.hexadecimal()).into());
        }
        return Ok(Departure { names, images: free, leaving, ..Departure::default() });
    }
    // What is left are steps of builds.
    let step = index.has_children(&image.id).then_some(image.id);
    if step.is_some() && index.steps.contains_key(&image.id) {
        return Err(RemovalConflict::HasChildren(image.id.hexadecimal()).into());
    }
    let mut doomed = if step.is_some() { Doomed::new() } else { vec![image] };
    if !options.keep_parents {
        doomed_parents(index, &mut doomed, uses);
    }
    doomed.extend(free);
    Ok(Departure { names, images: doomed, leaving, step, ..Departure::default() })
}

/// The further platforms of what these names of an image lead to that no other name leads to.
fn platforms_left(index: &Index, image: &ImageRecord, names: &[Name]) -> Doomed {
    let targets = names.iter().filter_map(|name| index.target_of_name(name));
    let variants = targets.flat_map(|target| &target.variants).map(|variant| variant.image);
    let others: BTreeSet<Digest> = variants.filter(|other| *other != image.id).collect();
    let left = others.into_iter().filter(|other| !index.is_led_to_beside(other, names));
    left.filter_map(|id| index.images.get(&id)).cloned().collect()
}

/// Images that are removed at once, and those that are removed with the last container that uses them.
fn free_and_leaving(index: &Index, images: Doomed, uses: &[ImageUse]) -> (Doomed, Vec<Digest>) {
    let (free, held): (Doomed, Doomed) =
        images.into_iter().partition(|image| is_free(index, &image.id, uses));
    let is_used = |image: &Digest| uses.iter().any(|usage| usage.image == *image);
    (free, held.iter().map(|image| image.id).filter(is_used).collect())
}

/// Whether no container or build uses an image and none is built on it.
pub(crate) fn is_free(index: &Index, image: &Digest, uses: &[ImageUse]) -> bool {
    let is_used = uses.iter().any(|usage| usage.image == *image) || index.held_images.contains_key(image);
    !index.has_children(image) && !is_used
}

/// The digests that are removed with a repository's last tag of an image, although other repositories have
/// tags of it.
fn digests_left_alone(named: &Name, rest: &[&Name]) -> Vec<Name> {
    let of_same: Vec<&&Name> = rest.iter().filter(|name| name.repository() == named.repository()).collect();
    let is_last_tag =
        matches!(named, Name::Tag(..)) && of_same.iter().all(|name| matches!(name, Name::Digest(..)));
    if is_last_tag { of_same.into_iter().map(|name| (*name).clone()).collect() } else { Vec::new() }
}

/// Unnamed parents that nothing else is built on, and no container or build uses.
fn doomed_parents(index: &Index, doomed: &mut Doomed, uses: &[ImageUse]) {
    while let Some(last) = doomed.last() {
        let Some(parent) = last.parent.and_then(|parent| index.images.get(&parent)) else { break };
        let others =
            index.images.values().any(|image| image.parent == Some(parent.id) && image.id != last.id);
        let used =
            uses.iter().any(|usage| usage.image == parent.id) || index.held_images.contains_key(&parent.id);
        if others || used || index.steps.contains_key(&parent.id) || index.is_led_to_beside(&parent.id, &[]) {
            break;
        }
        doomed.push(Arc::clone(parent));
    }
}

/// Refuses when a build continues from the image, or a container uses it or one that is built on it.
pub(crate) fn check_uses(
    index: &Index,
    image: &ImageRecord,
    options: RemoveOptions,
    uses: &[ImageUse],
) -> Result<(), RemovalConflict> {
    let concerned = |usage: &&ImageUse| is_ancestor(index, &image.id, usage.image);
    let short = image.id.short();
    if index.held_images.contains_key(&image.id) {
        return Err(RemovalConflict::UsedByBuild(short));
    }
    let used: Vec<&ImageUse> = uses.iter().filter(concerned).collect();
    if let Some(usage) = used.iter().find(|usage| usage.kind == UseKind::Creating) {
        let container = usage.container.short().to_owned();
        return Err(RemovalConflict::UsedByNew { image: short, container });
    }
    let running = used.iter().find(|usage| usage.kind == UseKind::Running);
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
        next = index.images.get(&id).and_then(|record| index.visible_parent(record));
    }
    false
}

fn name_of(text: &str) -> Result<Name, Error> {
    Ok(Name::of(&ImageReference::parse(text)?))
}
