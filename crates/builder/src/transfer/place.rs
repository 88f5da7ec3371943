//! Puts the selected files into a step's upper directory.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::placement::{Dressing, Placement, Sources};
use super::{Given, Inline, Item, Parent, Remote, Selected, Source, TransferError, archive, is_left_out};
use crate::context::Watched;
use crate::dockerfile::{Directories, Permissions, TransferVerb};
use crate::tree::{
    Content, FileSource, MakeDirectories, Metadata, Node, NodeKind, Owner, Position, Reached, Stop,
    TreeError, Upper, Walk,
};

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
    items.iter().try_for_each(|item| {
        if placement.sources == Sources::Joined {
            return place_item(upper, source, item, placement);
        }
        upper.forget_names();
        place_item(upper, source, item, placement)?;
        for copied in upper.take_back() {
            let content = match source.give(&copied.source)? {
                Given::Bytes(bytes) => FileSource::Bytes(bytes),
                Given::Copy(path) | Given::Link(path) => FileSource::Copy(path),
            };
            upper.make(copied, content);
        }
        // What comes after it changes the times of the directories that it is put into.
        Ok(upper.set_times()?)
    })
}

fn place_item(
    upper: &mut Upper,
    source: &dyn Source,
    item: &Item,
    placement: &Placement<'_>,
) -> Result<(), TransferError> {
    match item {
        Item::Remote(remote) => place_remote(upper, remote, placement),
        Item::Inline(inline) => place_inline(upper, inline, placement),
        Item::Tree(tree) => {
            let mut position = directory(upper, placement)?;
            Ok(place_children(upper, &**tree, Path::new(""), &mut position, placement)?)
        }
        Item::Local(selected @ Selected { parents: Some(parents), .. }) => {
            let destination = make_parents(upper, parents, placement)?;
            let placement = Placement { destination: &destination, directory: true, ..*placement };
            let selected = Selected { parents: None, ..selected.clone() };
            place_item(upper, source, &Item::Local(selected), &placement)
        }
        Item::Local(selected)
            if selected.node.is_directory()
                && placement.directories == Directories::Whole
                && !selected.name.is_empty() =>
        {
            place_directory(upper, source, selected, placement)
        }
        Item::Local(selected) if selected.node.is_directory() => {
            let mut position = directory(upper, placement).map_err(|error| match error {
                error if placement.sources != Sources::Independent => error,
                TreeError::NotDirectory(path) if !placement.directory && path == placement.destination => {
                    TreeError::FileInPlaceOfDirectory(path)
                }
                error => error.in_graph(placement.destination),
            })?;
            dress(upper, &position, &selected.node, placement)?;
            Ok(place_children(upper, source, &selected.path, &mut position, placement)?)
        }
        Item::Local(selected) => place_file(upper, source, selected, placement),
    }
}

fn owner(placement: &Placement<'_>) -> Owner {
    placement.owner.unwrap_or_default()
}

/// Applies to the destination the metadata of the directory whose content it gets, unless a layer below has
/// it.
fn dress(
    upper: &mut Upper,
    position: &Position,
    node: &Node,
    placement: &Placement<'_>,
) -> Result<(), TreeError> {
    let (mode, modified) = match (placement.dressing, placement.permissions) {
        (Dressing::None, _) => return Ok(()),
        (_, Some(Permissions::Changes(_))) => (None, None),
        (Dressing::Mode, permissions) => (permissions, None),
        (Dressing::ModeAndTime, permissions) => (permissions, node.metadata.modified),
    };
    let mode = mode.map(|permissions| permissions.apply(node.metadata.mode, true));
    upper.dress_new(position, mode, modified)
}

/// Makes the directories of `--parents` that are not there yet, with the rights and the owners that they have in the
/// source; returns the path of the last.
fn make_parents(
    upper: &mut Upper,
    parents: &[Parent],
    placement: &Placement<'_>,
) -> Result<PathBuf, TreeError> {
    let mut path = placement.destination.to_owned();
    directory(upper, placement)?;
    for Parent { name, metadata } in parents {
        path.push(name);
        let Owner { user, group } = owner(placement);
        let mut made = Metadata::new_directory(user, group);
        if let Some(own) = metadata {
            made.mode = own.mode;
            if placement.owner.is_none() && placement.keeps_owners {
                (made.user, made.group) = (own.user, own.group);
            }
        }
        if let Some(permissions) = placement.permissions {
            made.mode = permissions.apply(made.mode, true);
        }
        let start = Position::root(upper.view());
        let mut make = MakeDirectories { upper, metadata: made, last: true };
        Walk::new(&path).run(&start, &mut make)?;
    }
    Ok(path)
}

/// The metadata of a directory that nothing in the source corresponds to; in a graph with numeric permissions of
/// `--chmod` too.
fn new_directory(placement: &Placement<'_>) -> Metadata {
    let Owner { user, group } = owner(placement);
    let mut metadata = Metadata::new_directory(user, group);
    if let (Some(Permissions::Bits(bits)), Dressing::Mode | Dressing::ModeAndTime) =
        (placement.permissions, placement.dressing)
    {
        metadata.mode = bits & 0o777;
    }
    metadata
}

/// Walks to the destination as a directory, making what is missing.
fn directory(upper: &mut Upper, placement: &Placement<'_>) -> Result<Position, TreeError> {
    let start = Position::root(upper.view());
    let mut make = MakeDirectories { upper, metadata: new_directory(placement), last: true };
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
    let start = Position::root(upper.view());
    let mut make = MakeDirectories { upper, metadata: new_directory(placement), last: false };
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
    let unpacks = placement.unpacks.unwrap_or(true);
    if let (TransferVerb::Add, Some(given), true) = (placement.verb, &given, unpacks)
        && let Some(stream) = archive::open(given)?
    {
        let placed_as_it_is = Placement { permissions: None, ..*placement };
        let position = directory(upper, &placed_as_it_is)?.confined();
        let stream = Watched { stream, cancellation: placement.cancellation };
        return archive::unpack(upper, &position, stream, placement.owner)
            .map_err(|failure| failure.named(&selected.written));
    }
    let (mut position, name) = file_place(upper, &selected.name, placement)?;
    room_for(upper, (&position, &name), &selected.node, placement)?;
    put(upper, (&mut position, &name), dressed(selected.node.clone(), placement), given)?;
    Ok(upper.complete()?)
}

/// Puts a directory into the destination, or as it; one that is there keeps its mode and its owner.
fn place_directory(
    upper: &mut Upper,
    source: &dyn Source,
    selected: &Selected,
    placement: &Placement<'_>,
) -> Result<(), TransferError> {
    let (mut position, name) = file_place(upper, &selected.name, placement)?;
    let mut node = dressed(selected.node.clone(), placement);
    room_for(upper, (&position, &name), &node, placement)?;
    if let Some(there) = position.directory().child(&name)? {
        node.metadata = Metadata { modified: node.metadata.modified, ..there.node.metadata };
    }
    put(upper, (&mut position, &name), node, None)?;
    let missing = || TreeError::NotDirectory(placement.destination.to_owned());
    let directory = position.directory().enter(&name)?.ok_or_else(missing)?;
    position.push(&name, directory);
    Ok(place_children(upper, source, &selected.path, &mut position, placement)?)
}

/// Refuses a destination in a directory that is not there.
///
/// # Errors
/// [`TreeError::Missing`] with the destination.
pub(crate) fn check_parent(upper: &Upper, destination: &Path) -> Result<(), TreeError> {
    let Some(parent) = destination.parent() else { return Ok(()) };
    match Walk::new(parent).run(&Position::root(upper.view()), &mut Stop)? {
        Reached::Directory(_) => Ok(()),
        Reached::Node(..) | Reached::Missing(..) => Err(TreeError::Missing(destination.to_owned())),
    }
}

/// Puts a here-document in its place.
fn place_inline(upper: &mut Upper, inline: &Inline, placement: &Placement<'_>) -> Result<(), TransferError> {
    let (mut position, name) = file_place(upper, OsStr::new(&inline.name), placement)?;
    let content = inline.content.as_bytes();
    let Owner { user, group } = owner(placement);
    let metadata = Metadata { mode: 0o644, user, group, modified: None, attributes: Vec::new() };
    let kind = NodeKind::File { size: content.len() as u64 };
    let mut node = Node { kind, shared: None, metadata };
    set_permissions(&mut node, placement);
    Ok(upper.place(&mut position, &name, &node, Content::Bytes(content))?)
}

fn set_permissions(node: &mut Node, placement: &Placement<'_>) {
    let is_symlink = matches!(node.kind, NodeKind::Symlink { .. });
    if let Some(permissions) = placement.permissions.filter(|_| !is_symlink) {
        node.metadata.mode = permissions.apply(node.metadata.mode, node.is_directory());
    }
}

fn place_remote(upper: &mut Upper, remote: &Remote, placement: &Placement<'_>) -> Result<(), TransferError> {
    let given = Given::Copy(remote.file.clone());
    if placement.unpacks == Some(true)
        && let Some(stream) = archive::open(&given)?
    {
        let placed_as_it_is = Placement { permissions: None, ..*placement };
        let position = directory(upper, &placed_as_it_is)?.confined();
        let stream = Watched { stream, cancellation: placement.cancellation };
        return archive::unpack(upper, &position, stream, placement.owner)
            .map_err(|failure| failure.named(&remote.address));
    }
    let (mut position, name) = file_place(upper, OsStr::new(&remote.name), placement)?;
    if name.is_empty() {
        return Err(TransferError::NamelessAddress(remote.address.clone()));
    }
    let Owner { user, group } = owner(placement);
    let metadata = Metadata { mode: 0o600, user, group, modified: remote.modified, attributes: Vec::new() };
    let mut node = Node { kind: NodeKind::File { size: 0 }, shared: None, metadata };
    set_permissions(&mut node, placement);
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
    let room = if position.directory().is_vacant()? { Room::Vacant } else { Room::Taken };
    let mut levels = vec![(source.names(top)?.into_iter(), room)];
    while let Some((level, room)) = levels.last_mut() {
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
        let relative = path.strip_prefix(top).unwrap_or(&path);
        if is_left_out(placement.excludes, relative, &node) {
            path.pop();
            continue;
        }
        let is_file = matches!(node.kind, NodeKind::File { .. });
        let is_directory = node.is_directory();
        let room = match room {
            Room::Vacant => Room::Vacant,
            Room::Taken => room_for(upper, (position, &name), &node, placement)?,
        };
        let node = dressed(node, placement);
        if upper.is_recorded() {
            let content = if is_file { source.digest(&path)? } else { None };
            if upper.leave(position, &name, &node, (content.as_ref(), &path))? {
                path.pop();
                continue;
            }
        }
        let given = is_file.then(|| source.give(&path)).transpose()?;
        put(upper, (position, &name), node, given)?;
        if is_directory {
            let missing = || TreeError::NotDirectory(path.clone());
            let directory = position.directory().enter(&name)?.ok_or_else(missing)?;
            position.push(&name, directory);
            levels.push((source.names(&path)?.into_iter(), room));
        } else {
            path.pop();
        }
    }
    upper.complete()
}

/// A node of the source as it is put there.
fn dressed(mut node: Node, placement: &Placement<'_>) -> Node {
    set_permissions(&mut node, placement);
    if placement.owner.is_some() || !placement.keeps_owners {
        let Owner { user, group } = owner(placement);
        node.metadata.user = user;
        node.metadata.group = group;
    }
    node
}

/// Puts a node there; a file maybe only when the upper directory is completed.
fn put(
    upper: &mut Upper,
    (position, name): (&mut Position, &OsStr),
    node: Node,
    given: Option<Given>,
) -> Result<(), TreeError> {
    match given {
        Some(Given::Bytes(bytes)) if node.shared.is_none() => {
            upper.place_file(position, name, node, FileSource::Bytes(bytes))
        }
        Some(Given::Copy(path)) if node.shared.is_none() => {
            upper.place_file(position, name, node, FileSource::Copy(path))
        }
        Some(Given::Bytes(bytes)) => upper.place(position, name, &node, Content::Bytes(&bytes)),
        Some(Given::Copy(path)) => upper.place(position, name, &node, Content::Copy(&path)),
        Some(Given::Link(path)) => upper.place(position, name, &node, Content::Link(&path)),
        None => upper.place(position, name, &node, Content::None),
    }
}

/// Whether anything is where something is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Nothing: neither is anything beneath it.
    Vacant,
    /// Something may be.
    Taken,
}

/// Determines what is where a node is put; a directory cannot be replaced by a file, nor the other way round, unless that
/// is only recorded.
fn room_for(
    upper: &mut Upper,
    (position, name): (&Position, &OsStr),
    node: &Node,
    placement: &Placement<'_>,
) -> Result<Room, TreeError> {
    let Some(there) = position.directory().child(name)? else { return Ok(Room::Vacant) };
    let path = || Path::new("/").join(position.path()).join(name);
    let refusal = match (node.is_directory(), there.node.is_directory()) {
        (true, false) => TreeError::FileInPlaceOfDirectory(path()),
        (false, true) => TreeError::DirectoryInPlaceOfFile(path()),
        _ => return Ok(Room::Taken),
    };
    match placement.sources {
        Sources::Joined => upper.note_replaced(),
        Sources::Independent => return Err(refusal),
    }
    Ok(Room::Taken)
}
