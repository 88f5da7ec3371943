//! Finds out the numbers of an account that `--chown` names, in the image's own files.

use std::path::Path;

use sys::bounded_read;

use super::{Position, Reached, Stop, TreeError, View, Walk};

/// The longest `/etc/passwd` or `/etc/group` of an image that is read.
const ACCOUNTS_LIMIT: u64 = 16 << 20;

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";
/// The account that exists in a graph whatever the image's files have.
const ROOT: &str = "root";
/// The fields between a name and its number.
const NUMBER: usize = 1;
/// The fields between a user's name and the number of the primary group.
const PRIMARY_GROUP: usize = 2;

/// The owner of files that a step writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// Which group is meant where only a user is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefaultGroup {
    /// The group of the same name.
    SameName,
    /// The primary group of the user, passwd(5).
    Primary,
}

/// Resolves `user[:group]`, names or numbers; without a group it is the default one of the user's name, or that of
/// the user's number. In a graph either side of the colon may be empty, which is root.
///
/// # Errors
/// [`TreeError::UnknownAccount`] when the image's `/etc/passwd` or `/etc/group` lacks the name.
pub(crate) fn resolve_owner(text: &str, view: &View, default: DefaultGroup) -> Result<Owner, TreeError> {
    let is_graph = default == DefaultGroup::Primary;
    let (user, group) = match text.split_once(':') {
        Some((user, group)) if is_graph => {
            let or_root = |text| if str::is_empty(text) { ROOT } else { text };
            (or_root(user), or_root(group))
        }
        Some(parts) => parts,
        None => (text, ""),
    };
    let unknown = |kind, text: &str| TreeError::UnknownAccount { kind, text: text.to_owned() };
    let is_root = |text: &str| is_graph && text == ROOT;
    let found = |kind, text: &str| match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) if is_root(text) => Ok(Some(0)),
        Err(_) => number_of(view, if kind == "uid" { PASSWD } else { GROUP }, text, NUMBER),
    };
    let user_number = found("uid", user)?.ok_or_else(|| unknown("uid", user))?;
    let group_number = match group {
        "" if is_graph && !is_root(user) && user.parse::<u32>().is_err() => {
            number_of(view, PASSWD, user, PRIMARY_GROUP)?.unwrap_or(user_number)
        }
        "" => found("gid", user)?.unwrap_or(user_number),
        group => found("gid", group)?.ok_or_else(|| unknown("gid", group))?,
    };
    Ok(Owner { user: user_number, group: group_number })
}

/// A field of the line that begins with `name:`, passwd(5) and group(5).
fn number_of(view: &View, file: &str, name: &str, field: usize) -> Result<Option<u32>, TreeError> {
    let reached = Walk::new(Path::new(file)).run(&Position::root(view), &mut Stop)?;
    let Reached::Node(_, _, found) = reached else { return Ok(None) };
    let bytes = bounded_read::read(&found.location, ACCOUNTS_LIMIT)
        .map_err(TreeError::file("read", Path::new(file)))?;
    let text = String::from_utf8_lossy(&bytes);
    let number = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let matches = fields.next() == Some(name);
        matches.then(|| fields.nth(field)?.parse().ok()).flatten()
    });
    Ok(number)
}
