//! The worth of files as a cache key: their names, content, mode and owner, but not their times.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use model::Digest;
use sha2::{Digest as _, Sha256};

use super::{Item, NoTree, Selected, Source, is_left_out};
use crate::ignore::IgnorePatterns;
use crate::tree::{Metadata, Node, NodeKind, TreeError};

/// Sums items up as the history shows them: `file:…`, `dir:…`, or `multi:…` for several.
///
/// # Errors
/// [`TreeError`] when the source cannot be read.
pub(crate) fn sum(
    source: &dyn Source,
    items: &[Item],
    excludes: Option<&IgnorePatterns>,
) -> Result<String, TreeError> {
    let mut sums = Vec::with_capacity(items.len());
    for item in items {
        sums.push(item_sum(source, item, excludes)?);
    }
    if let [sum] = sums.as_slice() {
        return Ok(sum.clone());
    }
    Ok(format!("multi:{}", hexadecimal(Sha256::digest(sums.join(",")).into())))
}

/// Sums up what the directories among the items are beside their content, their names included.
///
/// # Errors
/// None: directories have nothing to read.
pub(crate) fn sum_of_directories(items: &[Item]) -> Result<String, TreeError> {
    let mut state = Sha256::new();
    for item in items {
        if let Item::Local(Selected { name, path, node, .. }) = item
            && node.is_directory()
        {
            field(&mut state, name.as_bytes());
            add_node(&mut state, &NoTree, path, node)?;
        }
    }
    Ok(hexadecimal(state.finalize().into()))
}

fn item_sum(
    source: &dyn Source,
    item: &Item,
    excludes: Option<&IgnorePatterns>,
) -> Result<String, TreeError> {
    let mut state = Sha256::new();
    if let Item::Local(Selected { parents: Some(parents), .. }) = item {
        let path: PathBuf = parents.iter().map(|parent| &parent.name).collect();
        field(&mut state, path.as_os_str().as_bytes());
        for Metadata { mode, user, group, .. } in parents.iter().filter_map(|parent| parent.metadata.as_ref())
        {
            [mode, user, group].into_iter().for_each(|number| field(&mut state, &number.to_le_bytes()));
        }
    }
    match item {
        Item::Remote(remote) => {
            field(&mut state, remote.name.as_bytes());
            field(&mut state, remote.digest.as_bytes());
            Ok(format!("file:{}", hexadecimal(state.finalize().into())))
        }
        Item::Tree(tree) => {
            add_directory(&mut state, &**tree, Path::new(""), excludes)?;
            Ok(format!("dir:{}", hexadecimal(state.finalize().into())))
        }
        Item::Inline(inline) => {
            field(&mut state, inline.name.as_bytes());
            field(&mut state, inline.content.as_bytes());
            Ok(format!("file:{}", hexadecimal(state.finalize().into())))
        }
        Item::Local(selected) if selected.node.is_directory() => {
            add_directory(&mut state, source, &selected.path, excludes)?;
            Ok(format!("dir:{}", hexadecimal(state.finalize().into())))
        }
        Item::Local(selected) => {
            field(&mut state, selected.name.as_bytes());
            add_node(&mut state, source, &selected.path, &selected.node)?;
            Ok(format!("file:{}", hexadecimal(state.finalize().into())))
        }
    }
}

/// Adds what is below a directory, however deep, in the order of names.
fn add_directory(
    state: &mut Sha256,
    source: &dyn Source,
    top: &Path,
    excludes: Option<&IgnorePatterns>,
) -> Result<(), TreeError> {
    let mut path = top.to_owned();
    let mut levels = vec![source.names(top)?.into_iter()];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.next() else {
            levels.pop();
            path.pop();
            continue;
        };
        path.push(&name);
        let Some(node) = source.node(&path)? else {
            path.pop();
            continue;
        };
        let relative = path.strip_prefix(top).unwrap_or(&path);
        if is_left_out(excludes, relative, &node) {
            path.pop();
            continue;
        }
        field(state, relative.as_os_str().as_bytes());
        add_node(state, source, &path, &node)?;
        if node.is_directory() {
            levels.push(source.names(&path)?.into_iter());
        } else {
            path.pop();
        }
    }
    Ok(())
}

fn add_node(state: &mut Sha256, source: &dyn Source, path: &Path, node: &Node) -> Result<(), TreeError> {
    let metadata = &node.metadata;
    for number in [metadata.mode, metadata.user, metadata.group] {
        state.update(number.to_le_bytes());
    }
    for (name, value) in &metadata.attributes {
        field(state, name);
        field(state, value);
    }
    match &node.kind {
        NodeKind::Directory => field(state, b"directory"),
        NodeKind::File { .. } => {
            field(state, b"file");
            let digest = source.digest(path)?;
            field(state, digest.as_ref().map_or(&[], |digest| digest.as_bytes().as_slice()));
        }
        NodeKind::Symlink { target } => {
            field(state, b"symlink");
            field(state, target.as_bytes());
        }
        NodeKind::Fifo => field(state, b"fifo"),
        NodeKind::Device { block, number } => {
            field(state, if *block { b"block" } else { b"character" });
            field(state, &number.to_le_bytes());
        }
    }
    Ok(())
}

/// Adds bytes with their length, so that no two lists of fields have the same encoding.
fn field(state: &mut Sha256, bytes: &[u8]) {
    state.update((bytes.len() as u64).to_le_bytes());
    state.update(bytes);
}

fn hexadecimal(bytes: [u8; 32]) -> String {
    Digest::from_bytes(bytes).hexadecimal()
}
