//! Changes of files of a graph as COPY, ADD, and changes that no Dockerfile has.

use engine::builder::{GivenMetadata, TreeChange};

use super::decode::{Graph, Node};
use super::source::{download, file_name, is_download};
use super::text::{Text, stage};
use super::words::{literal, literals, path, plain};
use crate::grpc::Status;
use buildkit_messages::file_operation::{
    Account, CopyFiles, FileAction, Files, MakeDirectory, MakeFile, Owner, Remove,
};

/// The default mode of new directories.
const DIRECTORY_MODE: u32 = 0o755;
/// The time that stands for no time.
const NO_TIME: i64 = -1;

/// Writes the actions of an operation: each must go on from the one before.
///
/// # Errors
/// `Unimplemented` naming what has no equal, `InvalidArgument` for inputs that there are not.
pub(super) fn write(text: &mut Text, graph: &Graph, node: &Node, files: &Files) -> Result<(), Status> {
    let inputs = i64::try_from(node.inputs.len()).unwrap_or(i64::MAX);
    for (number, action) in files.actions.iter().enumerate() {
        let before = inputs.saturating_add(i64::try_from(number).unwrap_or(i64::MAX)) - 1;
        match (number, action.input) {
            (0, -1) => text.from(None),
            (0, input) => text.from(Some(of_input(node, input)?)),
            (_, input) if input == before => {}
            (_, _) => return Err(refuse("actions that do not follow each other")),
        }
        let is_last = number + 1 == files.actions.len();
        if (action.output >= 0) != is_last || action.output > 0 {
            return Err(refuse("results of several actions"));
        }
        self::action(text, graph, node, action)?;
    }
    if files.actions.is_empty() {
        return Err(Status::invalid("a file operation of a build graph does nothing"));
    }
    Ok(())
}

fn action(text: &mut Text, graph: &Graph, node: &Node, action: &FileAction) -> Result<(), Status> {
    if let Some(copy) = &action.copy {
        let from = of_input(node, action.second_input)?;
        if copy.unpacks {
            return write_unpacking(text, graph.nodes.get(from), copy);
        }
        return write_copy(text, from, copy);
    }
    if let Some(make) = &action.make_file {
        return write_file(text, make);
    }
    if let Some(make) = &action.make_directory {
        return write_directory(text, make);
    }
    if let Some(remove) = &action.remove {
        let Remove { path, may_be_missing, allows_wildcard: is_pattern } = remove.clone();
        text.change(TreeChange::Remove { path: checked(path)?, may_be_missing, is_pattern });
        return Ok(());
    }
    if let Some(link) = &action.link {
        let given = given(link.owner.as_ref(), link.time)?;
        let (path, target) = (checked(link.path.clone())?, checked(link.target.clone())?);
        text.change(TreeChange::Link { path, target, given });
        return Ok(());
    }
    Err(refuse("an action that is not known"))
}

fn refuse(what: &str) -> Status {
    Status::unimplemented(format!("a file operation of a build graph with {what} is not supported"))
}

fn of_input(node: &Node, index: i64) -> Result<usize, Status> {
    node.input(index).ok_or_else(|| Status::invalid(format!("a file operation has no input {index}")))
}

fn write_copy(text: &mut Text, from: usize, copy: &CopyFiles) -> Result<(), Status> {
    if copy.time != NO_TIME {
        return Err(refuse("a time of its own"));
    }
    if !copy.includes.is_empty() {
        return Err(refuse("patterns of what is included"));
    }
    let source = if copy.allows_wildcard {
        format!("/{}", copy.source.trim_start_matches('/'))
    } else {
        path(&copy.source)?
    };
    let destination = path(&copy.destination)?;
    let mut line = format!("COPY --from={}", stage(from));
    line.push_str(&owned(copy.owner.as_ref())?);
    match (copy.mode, copy.mode_text.as_str()) {
        (-1 | 0, "") => {}
        (mode, "") => line.push_str(&format!(" --chmod={mode:o}")),
        (_, words) => line.push_str(&format!(" --chmod={}", plain(words)?)),
    }
    let rules = [
        (!copy.copies_contents, " --whole"),
        (!copy.follows_links, " --keep-links"),
        (!copy.may_match_nothing, " --not-empty"),
        (!copy.makes_parents, " --no-parents"),
    ];
    rules.iter().filter(|(is_set, _)| *is_set).for_each(|(_, flag)| line.push_str(flag));
    for pattern in &copy.excludes {
        line.push_str(&format!(" --exclude={}", plain(pattern)?));
    }
    text.line(&format!("{line} {}", literals(&[&source, &destination])?));
    Ok(())
}

/// A copy that unpacks archives: ADD does that with what it downloads.
fn write_unpacking(text: &mut Text, from: Option<&Node>, copy: &CopyFiles) -> Result<(), Status> {
    let source = from.and_then(|node| node.operation.source.as_ref()).filter(|source| is_download(source));
    let source = source.ok_or_else(|| refuse("archives that are unpacked, other than downloads"))?;
    let is_plain = copy.time == NO_TIME
        && copy.owner.is_none()
        && matches!((copy.mode, copy.mode_text.as_str()), (-1 | 0, ""))
        && copy.includes.is_empty()
        && copy.excludes.is_empty();
    if !is_plain || copy.source.trim_start_matches('/') != file_name(source)? {
        return Err(refuse("archives that are unpacked, and something beside"));
    }
    text.line(&download(source, &path(&copy.destination)?, true)?);
    Ok(())
}

fn write_file(text: &mut Text, make: &MakeFile) -> Result<(), Status> {
    let destination = path(&make.path)?;
    if destination.ends_with('/') {
        return Err(Status::invalid(format!("{:?} is no path of a file", make.path)));
    }
    let mode = u32::try_from(make.mode).unwrap_or(0o644);
    let (context, name) = text.add_file(&make.content, mode, time(make.time));
    let owner = owned(make.owner.as_ref())?;
    text.line(&format!("COPY --from={context}{owner} --no-parents {}", literals(&[&name, &destination])?));
    Ok(())
}

fn write_directory(text: &mut Text, make: &MakeDirectory) -> Result<(), Status> {
    text.change(TreeChange::Directory {
        path: checked(make.path.clone())?,
        mode: u32::try_from(make.mode).unwrap_or(DIRECTORY_MODE) & 0o7777,
        makes_parents: make.makes_parents,
        given: given(make.owner.as_ref(), make.time)?,
    });
    Ok(())
}

/// A path or a target, as it is.
fn checked(word: String) -> Result<String, Status> {
    literal(&word)?;
    Ok(word)
}

/// Nanoseconds since 1970; none where no time is wanted.
fn time(time: i64) -> Option<i64> {
    (time != NO_TIME).then_some(time)
}

fn given(owner: Option<&Owner>, modified: i64) -> Result<GivenMetadata, Status> {
    Ok(GivenMetadata { owner: account(owner)?, modified: time(modified) })
}

/// The flag for an owner.
fn owned(owner: Option<&Owner>) -> Result<String, Status> {
    Ok(account(owner)?.map(|account| format!(" --chown={account}")).unwrap_or_default())
}

/// An owner as `user` or `user:group`.
fn account(owner: Option<&Owner>) -> Result<Option<String>, Status> {
    let Some(owner) = owner else { return Ok(None) };
    let account = |account: &Account| match &account.name {
        Some(name) => plain(&name.name).map(str::to_owned),
        None => Ok(account.number.to_string()),
    };
    let user = owner.user.as_ref().map_or_else(|| Ok("0".to_owned()), account)?;
    let group = owner.group.as_ref().map(account).transpose()?;
    Ok(Some(group.map_or_else(|| user.clone(), |group| format!("{user}:{group}"))))
}
