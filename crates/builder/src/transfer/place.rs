//! Puts the selected files into a step's upper directory.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use images::registry::Cancellation;

use super::{Given, Item, Remote, Selected, Source, TransferError, archive};
use crate::context::Watched;
use crate::dockerfile::TransferVerb;
use crate::tree::{
    Content, MakeDirectories, Metadata, Node, NodeKind, Owner, Position, Reached, TreeError, Upper, Walk,
};

/// Where and how files are put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement<'a> {
    pub(crate) verb: TransferVerb,
    /// The absolute path, without `.` and `..`.
    pub(crate) destination: &'a Path,
    /// Whether the destination's form says that it is a directory.
    pub(crate) directory: bool,
    /// `--chown`; without it what a context holds belongs to root, and what an archive holds to its owners.
    pub(crate) owner: Option<Owner>,
    /// Whether files that are not given to another belong to whom they belonged, as those of images do.
    pub(crate) keeps_owners: bool,
    pub(crate) cancellation: &'a Cancellation,
}

/// Puts every item in its place.
///
/// # Errors
/// [`TransferError`] when the destination cannot hold an item, or the disk cannot.
pub(crate) fn place(
    upper: &mut Upper,
    source: &dyn Source,
    items: &[Item],
    placement: &Placement<'_>,
) -> Result<(), TransferError> {
    items.iter().try_for_each(|item| match item {
        Item::Remote(remote) => place_remote(upper, remote, placement),
        Item::Local(selected) if selected.node.is_directory() => {
            let mut position = directory(upper, placement)?;
            Ok(place_children(upper, source, &selected.path, &mut position, placement)?)
        }
        Item::Local(selected) => place_file(upper, source, selected, placement),
    })
}

fn owner(placement: &Placement<'_>) -> Owner {
    placement.owner.unwrap_or_default()
}

/// Walks to the destination as a directory, making what is missing.
fn directory(upper: &mut Upper, placement: &Placement<'_>) -> Result<Position, TreeError> {
    let Owner { user, group } = owner(placement);
    let start = Position::root(upper.view());
    let metadata = Metadata::new_directory(user, group);
    let mut make = MakeDirectories { upper, metadata, last: true };
    match Walk::new(placement.destination).run(&start, &mut make)? {
        Reached::Directory(mut position) => {
            upper.materialise(&mut position)?;
            Ok(position)
        }
        Reached::Node(..) | Reached::Missing(..) => {
            Err(TreeError::NotDirectory(placement.destination.to_owned()))
        }
    }
}

/// Walks to the place of one file: under its own name where the destination is a directory.
fn file_place(
    upper: &mut Upper,
    name: &OsStr,
    placement: &Placement<'_>,
) -> Result<(Position, OsString), TreeError> {
    if placement.directory {
        return Ok((directory(upper, placement)?, name.to_owned()));
    }
    let Owner { user, group } = owner(placement);
    let start = Position::root(upper.view());
    let metadata = Metadata::new_directory(user, group);
    let mut make = MakeDirectories { upper, metadata, last: false };
    Ok(match Walk::new(placement.destination).run(&start, &mut make)? {
        Reached::Directory(position) => (position, name.to_owned()),
        Reached::Node(position, name, _) | Reached::Missing(position, name) => (position, name),
    })
}

fn place_file(
    upper: &mut Upper,
    source: &dyn Source,
    selected: &Selected,
    placement: &Placement<'_>,
) -> Result<(), TransferError> {
    let is_file = matches!(selected.node.kind, NodeKind::File { .. });
    let given = is_file.then(|| source.give(&selected.path)).transpose()?;
    if let (TransferVerb::Add, Some(given)) = (placement.verb, &given)
        && let Some(stream) = archive::open(given)?
    {
        let position = directory(upper, placement)?.confined();
        let stream = Watched { stream, cancellation: placement.cancellation };
        return archive::unpack(upper, &position, stream, placement.owner)
            .map_err(|failure| failure.named(&selected.written));
    }
    let (mut position, name) = file_place(upper, &selected.name, placement)?;
    Ok(put(upper, (&mut position, &name), &selected.node, given.as_ref(), placement)?)
}

fn place_remote(upper: &mut Upper, remote: &Remote, placement: &Placement<'_>) -> Result<(), TransferError> {
    let (mut position, name) = file_place(upper, OsStr::new(&remote.name), placement)?;
    if name.is_empty() {
        return Err(TransferError::NamelessAddress(remote.address.clone()));
    }
    let Owner { user, group } = owner(placement);
    let metadata = Metadata { mode: 0o600, user, group, modified: remote.modified, attributes: Vec::new() };
    let node = Node { kind: NodeKind::File { size: 0 }, shared: None, metadata };
    Ok(upper.place(&mut position, &name, &node, Content::Copy(&remote.file))?)
}

/// Copies what a directory of the source holds, however deep.
fn place_children(
    upper: &mut Upper,
    source: &dyn Source,
    top: &Path,
    position: &mut Position,
    placement: &Placement<'_>,
) -> Result<(), TreeError> {
    let mut path = top.to_owned();
    let mut levels = vec![source.names(top)?.into_iter()];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.next() else {
            levels.pop();
            if !levels.is_empty() {
                path.pop();
                position.ascend();
            }
            continue;
        };
        path.push(&name);
        let Some(node) = source.node(&path)? else {
            path.pop();
            continue;
        };
        let is_file = matches!(node.kind, NodeKind::File { .. });
        let given = is_file.then(|| source.give(&path)).transpose()?;
        put(upper, (position, &name), &node, given.as_ref(), placement)?;
        if node.is_directory() {
            let missing = || TreeError::NotDirectory(path.clone());
            let directory = position.directory().enter(&name)?.ok_or_else(missing)?;
            position.push(&name, directory);
            levels.push(source.names(&path)?.into_iter());
        } else {
            path.pop();
        }
    }
    Ok(())
}

fn put(
    upper: &mut Upper,
    (position, name): (&mut Position, &OsStr),
    node: &Node,
    given: Option<&Given>,
    placement: &Placement<'_>,
) -> Result<(), TreeError> {
    let mut node = node.clone();
    if placement.owner.is_some() || !placement.keeps_owners {
        let Owner { user, group } = owner(placement);
        node.metadata.user = user;
        node.metadata.group = group;
    }
    let content = match given {
        Some(Given::Link(path)) => Content::Link(path),
        Some(Given::Copy(path)) => Content::Copy(path),
        Some(Given::Bytes(bytes)) => Content::Bytes(bytes),
        None => Content::None,
    };
    upper.place(position, name, &node, content)
}
