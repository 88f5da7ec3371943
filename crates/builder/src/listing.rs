//! Lists trees of files for tests.

use std::path::Path;

use crate::tree::{Directory, NodeKind};

/// Times of tests' archives are shown, those of the test's own run are not.
pub(crate) fn list_tree(directory: &Directory, path: &Path, lines: &mut Vec<String>) {
    for name in directory.names().unwrap() {
        let node = directory.child(&name).unwrap().unwrap().node;
        let metadata = &node.metadata;
        let path = path.join(&name);
        let (slash, rest) = match &node.kind {
            NodeKind::Directory => ("/", String::new()),
            NodeKind::File { size, .. } => ("", format!(" {size}")),
            NodeKind::Symlink { target } => ("", format!(" -> {}", target.to_string_lossy())),
            NodeKind::Fifo => ("", " fifo".to_owned()),
            NodeKind::Device { .. } => ("", " device".to_owned()),
        };
        let time = match metadata.modified.map(|time| time.seconds) {
            Some(1_420_070_400) => " 2015",
            _ => "",
        };
        lines.push(format!(
            "{}{slash} {:o} {}:{}{rest}{time}",
            path.display(),
            metadata.mode,
            metadata.user,
            metadata.group
        ));
        if node.is_directory() {
            list_tree(&directory.enter(&name).unwrap().unwrap(), &path, lines);
        }
    }
}
