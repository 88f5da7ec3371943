//! All names of a container: its own, and those that links give it.

use crate::container::Record;
use crate::engine::Engine;

impl Engine {
    /// The names of a container, each with its slash, its own first.
    #[must_use]
    pub fn names_of(&self, record: &Record) -> Vec<String> {
        let mut links = Vec::new();
        for parent in self.directory.all() {
            let parent = parent.record();
            let aliases = parent.links.iter().filter(|(_, target)| **target == record.id);
            links.extend(aliases.map(|(alias, _)| format!("/{}/{alias}", parent.name)));
        }
        links.sort();
        links.insert(0, format!("/{}", record.name));
        links
    }
}
