//! Paths by their text alone.

use std::path::{Component, Path, PathBuf};

/// Makes a path absolute and removes `.`, `..` and doubled slashes, by its text alone.
#[must_use]
pub fn clean(path: impl AsRef<Path>) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.as_ref().components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}
