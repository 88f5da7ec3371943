//! Finds the files that the words of COPY and ADD name.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use model::Digest;

use super::{Source, TransferError};
use crate::ignore::IgnorePatterns;
use crate::pattern::{DoubleStar, Pattern, has_wildcard};
use crate::tree::{Metadata, Modified, Node, NodeKind};

/// As many symbolic links are followed in one path: path_resolution(7).
const SYMLINK_LIMIT: usize = 40;

/// The treatment of a symbolic link that leads out of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outside {
    /// It is read inside the tree, and refused when nothing is there: the tree is a part of the client's disk.
    Forbidden,
    /// The tree's root is its root: the tree is an image's.
    Confined,
}

/// A file that ADD downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) address: String,
    /// The last name in the address; empty when it has none.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) file: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) modified: Option<Modified>,
}

/// One thing to be copied.
pub(crate) enum Item {
    Local(Selected),
    Remote(Remote),
    /// A here-document.
    Inline(Inline),
    /// All of another tree: a repository's.
    Tree(Arc<dyn Source + Send + Sync>),
}

/// Whether `--exclude` leaves something out of a directory that is copied; of a directory that is left out something may
/// stay all the same when there are exceptions.
pub(crate) fn is_left_out(excludes: Option<&IgnorePatterns>, relative: &Path, node: &Node) -> bool {
    excludes.is_some_and(|excludes| {
        let may_keep = node.is_directory() && excludes.has_exceptions();
        !may_keep && relative.to_str().is_some_and(|path| excludes.excludes(path))
    })
}

/// A file that stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inline {
    pub(crate) name: String,
    pub(crate) content: String,
}

/// A file or directory of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    /// As it was written or matched, for messages.
    pub(crate) written: String,
    /// Its place in the source, without symbolic links.
    pub(crate) path: PathBuf,
    /// Its name in a directory that it is copied to.
    pub(crate) name: OsString,
    pub(crate) node: Node,
    /// `--parents`: the directories that are made for it at the destination.
    pub(crate) parents: Option<Vec<Parent>>,
}

/// A directory that `--parents` makes at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) name: OsString,
    /// That of the directory in the source; none where it is a link to one.
    pub(crate) metadata: Option<Metadata>,
}

/// Finds the sources of one word of COPY or ADD: one file or directory, or all that a pattern matches.
///
/// # Errors
/// [`TransferError`] when it does not exist, or is outside of the tree.
pub(crate) fn select(
    source: &dyn Source,
    word: &str,
    outside: Outside,
) -> Result<Vec<Selected>, TransferError> {
    select_with(source, word, outside, resolve)
}

/// As [`select`], but symbolic links are sources themselves; those on the way to a source are followed.
///
/// # Errors
/// As [`select`].
pub(crate) fn select_links(
    source: &dyn Source,
    word: &str,
    outside: Outside,
) -> Result<Vec<Selected>, TransferError> {
    select_with(source, word, outside, resolve_link)
}

fn select_with(
    source: &dyn Source,
    word: &str,
    outside: Outside,
    resolve: fn(&dyn Source, &str, &Path, Outside) -> Result<Selected, TransferError>,
) -> Result<Vec<Selected>, TransferError> {
    let relative = word.trim_start_matches('/');
    if !has_wildcard(relative) {
        return resolve(source, word, Path::new(relative), outside).map(|selected| vec![selected]);
    }
    let mut selected = Vec::new();
    // Without --parents `**` is `*`.
    let relative = relative.split('/').map(|part| if part == "**" { "*" } else { part });
    for path in matching(source, &relative.collect::<Vec<_>>().join("/"))? {
        let written = path.to_string_lossy().into_owned();
        selected.push(resolve(source, &written, &path, outside)?);
    }
    Ok(selected)
}

/// Follows the symbolic links of a path, but not that of its last name.
fn resolve_link(
    source: &dyn Source,
    written: &str,
    path: &Path,
    outside: Outside,
) -> Result<Selected, TransferError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return resolve(source, written, path, outside);
    };
    let parent = resolve(source, written, parent, outside)?;
    let path = parent.path.join(name);
    let missing = || TransferError::NoSuchSource(written.to_owned());
    let node = source.node(&path)?.ok_or_else(missing)?;
    Ok(Selected { written: written.to_owned(), path, name: name.to_owned(), node, parents: None })
}

/// Finds the sources of one word of `COPY --parents`, with the directories that lead to them; those before `/./`
/// are left out. `**` stands for any number of directories.
///
/// # Errors
/// [`TransferError`] when it does not exist, or is outside of the tree.
pub(crate) fn select_with_parents(
    source: &dyn Source,
    word: &str,
    outside: Outside,
) -> Result<Vec<Selected>, TransferError> {
    let relative = word.trim_start_matches("./").trim_start_matches('/');
    let pivot = relative.split_once("/./").map(|(before, _)| before).unwrap_or_default();
    let depth = pivot.split('/').filter(|name| !name.is_empty()).count();
    let is_pattern = has_wildcard(relative);
    let paths = if is_pattern { matching(source, relative)? } else { vec![PathBuf::from(relative)] };
    let mut selected = Vec::new();
    for path in paths {
        let written = if is_pattern { path.to_string_lossy().into_owned() } else { word.to_owned() };
        let mut found = resolve(source, &written, &path, outside)?;
        let names: Vec<OsString> = steps(&path).into_iter().filter(|step| step != "..").collect();
        let count = if found.node.is_directory() { names.len() } else { names.len().saturating_sub(1) };
        let mut parents = Vec::new();
        for number in depth..count {
            let node = source.node(&names[..=number].iter().collect::<PathBuf>())?;
            let metadata = node.filter(Node::is_directory).map(|node| node.metadata);
            parents.push(Parent { name: names[number].clone(), metadata });
        }
        found.parents = Some(parents);
        selected.push(found);
    }
    Ok(selected)
}

/// Follows the symbolic links of a path, the last name's too.
pub(crate) fn resolve(
    source: &dyn Source,
    written: &str,
    path: &Path,
    outside: Outside,
) -> Result<Selected, TransferError> {
    let missing = || TransferError::NoSuchSource(written.to_owned());
    // A link whose target is absolute or above the context is read with the context as its root, as a chroot
    // does; where nothing is there, it was meant for the client's own disk.
    let mut outside_target: Option<PathBuf> = None;
    let mut rest = steps(path);
    // So many steps at the front of the rest are of the link followed last, or of those before it.
    let mut linked = 0_usize;
    let mut last_target = PathBuf::new();
    let mut reached = PathBuf::new();
    let mut links = 0;
    while let Some(step) = rest.pop_front() {
        let is_linked = linked > 0;
        linked = linked.saturating_sub(1);
        if step == ".." {
            if !reached.pop() && outside == Outside::Forbidden {
                if !is_linked {
                    let above = rest.iter().all(|step| step == "..");
                    return Err(if above { above_root(written) } else { missing() });
                }
                outside_target = Some(last_target.clone());
            }
            continue;
        }
        let next = reached.join(&step);
        let node = source.node(&next)?.ok_or_else(|| match outside_target.take() {
            Some(target) => TransferError::Outside { written: written.to_owned(), target },
            None => missing(),
        })?;
        let NodeKind::Symlink { target } = &node.kind else {
            if !node.is_directory() && !rest.is_empty() {
                return Err(missing());
            }
            reached = next;
            continue;
        };
        links += 1;
        if links > SYMLINK_LIMIT {
            return Err(missing());
        }
        let target = Path::new(target);
        if target.is_absolute() {
            reached.clear();
            outside_target = (outside == Outside::Forbidden).then(|| target.to_owned());
        }
        for step in steps(target).into_iter().rev() {
            rest.push_front(step);
            linked += 1;
        }
        target.clone_into(&mut last_target);
    }
    let node = source.node(&reached)?.ok_or_else(missing)?;
    let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    Ok(Selected { written: written.to_owned(), path: reached, name, node, parents: None })
}

/// The refusal of a path that is a directory above the context.
fn above_root(written: &str) -> TransferError {
    TransferError::Outside { written: written.to_owned(), target: PathBuf::from(written) }
}

fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// The paths that a pattern matches, none where it is malformed; as `*` matches no `/`, every name
/// is matched for itself.
///
/// # Errors
/// [`TransferError`] when a directory cannot be read.
pub(crate) fn matching(source: &dyn Source, pattern: &str) -> Result<Vec<PathBuf>, TransferError> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == "**" {
            paths = with_all_below(source, paths)?;
            continue;
        }
        let Ok(compiled) = Pattern::compile(part, DoubleStar::Single) else { return Ok(Vec::new()) };
        let mut next = Vec::new();
        for path in &paths {
            for name in source.names(path)? {
                if compiled.matches(&name.to_string_lossy()) {
                    next.push(path.join(name));
                }
            }
        }
        paths = next;
        if paths.is_empty() {
            break;
        }
    }
    Ok(paths)
}

/// Adds every directory below some paths, each once.
fn with_all_below(source: &dyn Source, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, TransferError> {
    let mut found = BTreeSet::new();
    let mut waiting = paths;
    while let Some(path) = waiting.pop() {
        for name in source.names(&path)? {
            let below = path.join(name);
            if !found.contains(&below) && source.node(&below)?.is_some_and(|node| node.is_directory()) {
                waiting.push(below);
            }
        }
        found.insert(path);
    }
    Ok(found.into_iter().collect())
}
