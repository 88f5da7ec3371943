//! The targets of names: each tag has one, each digest is one, and through that the name stands for every image of it that is
//! here.

use std::collections::HashSet;

use model::{Digest, ImageReference};

use super::{Index, Name, Store, Target, names_of};

impl Index {
    /// The target of a name, where that came from elsewhere or was recorded by a build.
    pub(crate) fn target_of_name(&self, name: &Name) -> Option<&Target> {
        let target = match name {
            Name::Tag(repository, tag) => self.tag_targets.get(repository.as_str())?.get(tag.as_str())?,
            Name::Digest(_, digest) => digest,
        };
        self.targets.find(target)
    }

    /// The target of an image without regard to a name: that of one of its names, or else its last one.
    pub(crate) fn target_of_image(&self, image: &Digest) -> Option<&Target> {
        if self.targets.of(image).nth(1).is_some() {
            let names = names_of(self, image);
            let named: Vec<Digest> = names
                .iter()
                .filter_map(|name| self.target_of_name(name))
                .map(|target| target.digest)
                .collect();
            let is_named = |target: &&Target| named.contains(&target.digest);
            if let Some(target) = self.targets.of(image).rev().find(is_named) {
                return Some(target);
            }
        }
        self.targets.of(image).next_back()
    }

    /// The targets that names lead to.
    pub(crate) fn named_targets(&self) -> HashSet<Digest> {
        let tagged = self.tag_targets.values().flat_map(|tags| tags.values());
        let digests = self.digests.values().flat_map(|digests| digests.keys());
        tagged.chain(digests).copied().collect()
    }

    /// The names that lead to an image: its own, and those of what it is another platform of.
    pub(crate) fn names_leading_to(&self, image: &Digest) -> Vec<Name> {
        let mut names = names_of(self, image);
        let targets: HashSet<Digest> = self.targets.of(image).map(|target| target.digest).collect();
        if targets.is_empty() {
            return names;
        }
        for (repository, tags) in &self.tag_targets {
            for (tag, _) in tags.iter().filter(|(_, target)| targets.contains(target)) {
                let name = Name::Tag(repository.to_string(), tag.to_string());
                if self.named(&name) != Some(*image) {
                    names.push(name);
                }
            }
        }
        for (repository, digests) in &self.digests {
            for (digest, named) in digests.iter().filter(|(digest, _)| targets.contains(digest)) {
                if named != image {
                    names.push(Name::Digest(repository.to_string(), *digest));
                }
            }
        }
        names
    }

    /// Whether any name but these leads to an image.
    pub(crate) fn is_led_to_beside(&self, image: &Digest, gone: &[Name]) -> bool {
        self.names_leading_to(image).iter().any(|name| !gone.contains(name))
    }
}

impl Store {
    /// Whether a tag leads to a target and is not among these.
    pub(crate) fn is_tagged_beside(&self, target: &Digest, given: &[ImageReference]) -> bool {
        let given: Vec<Name> = given.iter().map(Name::of).collect();
        let index = self.index();
        let tags = index
            .tag_targets
            .iter()
            .flat_map(|(repository, tags)| tags.iter().map(move |(tag, target)| (repository, tag, target)));
        tags.filter(|(_, _, of_tag)| *of_tag == target)
            .any(|(repository, tag, _)| !given.contains(&Name::Tag(repository.to_string(), tag.to_string())))
    }
}
