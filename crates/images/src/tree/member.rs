//! The header of one entry of a tar, from the status of a file.

use model::IdMapping;
use rustix::fs::Stat;

use super::accounts::Accounts;
use crate::tar::Member;

/// An entry with a file's mode, owner and time.
pub(super) fn member<'m>(name: &'m [u8], stat: &Stat, attributes: &'m [(Vec<u8>, Vec<u8>)]) -> Member<'m> {
    Member {
        path: name,
        mode: stat.st_mode & 0o7777,
        user: stat.st_uid,
        group: stat.st_gid,
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        attributes,
        ..Member::default()
    }
}

/// An entry with the names of its owners, as processes of a user namespace see them, if one is given.
pub(super) fn named<'m>(
    member: &Member<'m>,
    accounts: &'m Accounts,
    user_namespace: Option<&IdMapping>,
) -> Member<'m> {
    let owner = (member.user, member.group);
    let (user, group) = user_namespace.map_or(owner, |mapping| mapping.as_seen_inside(owner));
    let is_whiteout = member.flag == b'0' && member.mode == 0 && member.seconds == 0;
    Member {
        user,
        group,
        user_name: if is_whiteout { "" } else { accounts.user(user) },
        group_name: accounts.group(group),
        ..member.clone()
    }
}
