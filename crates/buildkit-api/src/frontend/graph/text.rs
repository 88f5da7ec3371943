//! A Dockerfile that is being written for a graph.

use std::collections::BTreeMap;

use engine::builder::TreeChange;
use model::Digest;

use super::inline::InlineTree;

/// A directory of the client that a graph takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::frontend) struct LocalSource {
    pub(in crate::frontend) directory: String,
    pub(in crate::frontend) includes: Vec<String>,
    pub(in crate::frontend) excludes: Vec<String>,
    pub(in crate::frontend) paths: Vec<String>,
}

/// A Dockerfile under way, and what it takes from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) dockerfile: String,
    /// The stage that is being written.
    pub(super) current: usize,
    pub(super) locals: BTreeMap<String, LocalSource>,
    pub(super) inline: BTreeMap<String, InlineTree>,
    pub(super) images: BTreeMap<String, Digest>,
    /// The changes that are not instructions of a Dockerfile, by their numbers.
    pub(super) changes: Vec<TreeChange>,
    /// The stages whose steps run again.
    pub(super) uncached: Vec<String>,
}

/// The name of an operation's stage.
pub(super) fn stage(number: usize) -> String {
    format!("operation-{number}")
}

impl Text {
    /// Begins the present stage with another one, or with nothing.
    pub(super) fn from(&mut self, number: Option<usize>) {
        let name = number.map_or_else(|| "scratch".to_owned(), stage);
        self.begin(&name);
    }

    /// Begins the present stage with an image.
    pub(super) fn begin(&mut self, image: &str) {
        let name = stage(self.current);
        self.line(&format!("FROM {image} AS {name}"));
    }

    pub(super) fn line(&mut self, line: &str) {
        self.dockerfile.push_str(line);
        self.dockerfile.push('\n');
    }

    /// Writes a change that no instruction of a Dockerfile is.
    pub(super) fn change(&mut self, change: TreeChange) {
        self.line(&format!("CHANGE {}", self.changes.len()));
        self.changes.push(change);
    }

    /// Notes a directory of the client; returns the name of its context.
    pub(super) fn add_local(&mut self, local: LocalSource) -> String {
        let name = format!("local-{}", self.locals.len());
        self.locals.insert(name.clone(), local);
        name
    }

    /// Notes an image of the store; returns the name of its context.
    pub(super) fn add_image(&mut self, image: Digest) -> String {
        let name = format!("image-{}", self.images.len());
        self.images.insert(name.clone(), image);
        name
    }

    /// Notes a file of the graph itself; returns the name of its context, and its own.
    pub(super) fn add_file(&mut self, content: &[u8], mode: u32, time: Option<i64>) -> (String, String) {
        let name = format!("inline-{}", self.current);
        let file = self.inline.entry(name.clone()).or_default().add(content, mode, time);
        (name, file)
    }
}
