//! Looks up the user and group of a process or a file, by name or number, in the texts of `/etc/passwd` and
//! `/etc/group`.

use crate::{ErrorKind, GroupsOfUser};

/// The last number of a user or group that clients may use.
const LAST_NUMBER: u32 = 0x7fff_ffff;

/// The numbers that the kernel gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// First group.
    pub gid: u32,
    /// All groups that the kernel gets as supplementary ones, the first group among them: a file that denies its
    /// group what it allows others must deny it to this user as well (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// The home directory of the user's entry, else `/`.
    pub home: String,
}

/// Why there is no identity; the words are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A name without an entry.
    #[error("Unable to find {what} {name}")]
    Unknown {
        /// `user` or `group`.
        what: &'static str,
        /// The requested name.
        name: String,
    },
    /// A number that no user or group can have.
    #[error("Uids and gids must be in range 0-2147483647")]
    OutOfRange,
}

impl IdentityError {
    /// The kind of the failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The requested identity.
#[derive(Debug, Clone, Copy)]
pub struct AskedIdentity<'a> {
    /// `user[:group]`, by names or numbers; an empty user is root.
    pub user: &'a str,
    /// Further groups, by name or number.
    pub additional_groups: &'a [String],
    /// Which groups the user gets in which the files name it.
    pub groups_of_user: GroupsOfUser,
}

impl<'a> AskedIdentity<'a> {
    /// A user, with the default groups.
    #[must_use]
    pub const fn user(user: &'a str) -> Self {
        Self { user, additional_groups: &[], groups_of_user: GroupsOfUser::WithoutGroup }
    }
}

impl Identity {
    /// Finds the numbers for a user and its groups.
    ///
    /// # Errors
    /// [`IdentityError`], always [`ErrorKind::Invalid`].
    pub fn resolve(asked_for: &AskedIdentity<'_>, users: &str, groups: &str) -> Result<Self, IdentityError> {
        let (user, group) = match asked_for.user.split_once(':') {
            Some((user, group)) => (user, group),
            None => (asked_for.user, ""),
        };
        let wanted = if user.is_empty() { "0" } else { user };
        // A number is a number: an image must not give the name "1000" to its root (CVE-2016-3697).
        let asked = number(wanted)?;
        let is_wanted = |entry: &UserEntry<'_>| asked.map_or(entry.name == wanted, |uid| entry.uid == uid);
        let entry = users.lines().filter_map(UserEntry::parse).find(is_wanted);
        let uid = entry.as_ref().map(|entry| entry.uid).or(asked).ok_or_else(|| unknown("user", user))?;
        let mut identity = Self {
            uid,
            gid: entry.as_ref().map_or(0, |entry| entry.gid),
            groups: Vec::new(),
            home: entry
                .as_ref()
                .map(|entry| entry.home)
                .filter(|home| !home.is_empty())
                .unwrap_or("/")
                .to_owned(),
        };
        let gets_groups = match asked_for.groups_of_user {
            GroupsOfUser::WithoutGroup => group.is_empty(),
            GroupsOfUser::All => true,
            GroupsOfUser::None => false,
        };
        if let Some(entry) = entry.as_ref().filter(|_| gets_groups) {
            let member = |group: &GroupEntry<'_>| group.members.split(',').any(|name| name == entry.name);
            identity.groups = group_entries(groups).filter(member).map(|group| group.gid).collect();
        }
        if !group.is_empty() {
            identity.gid = find_group(group, groups)?;
        }
        for name in asked_for.additional_groups {
            identity.groups.push(find_group(name, groups)?);
        }
        identity.groups.push(identity.gid);
        identity.groups.sort_unstable();
        identity.groups.dedup();
        Ok(identity)
    }
}

struct UserEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> UserEntry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim_end_matches('\r').split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let home = fields.nth(1).unwrap_or("");
        Some(Self { name, uid: entry_number(uid)?, gid: entry_number(gid)?, home })
    }
}

/// Beyond these lies -1, by which the system calls mean "as it is": the daemon's own.
fn entry_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= LAST_NUMBER)
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn group_entries(groups: &str) -> impl Iterator<Item = GroupEntry<'_>> {
    groups.lines().filter_map(|line| {
        let mut fields = line.trim_end_matches('\r').split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some(GroupEntry { name, gid: entry_number(gid)?, members: fields.next().unwrap_or("") })
    })
}

fn find_group(wanted: &str, groups: &str) -> Result<u32, IdentityError> {
    if let Some(number) = number(wanted)? {
        return Ok(number);
    }
    let found = group_entries(groups).find(|group| group.name == wanted);
    found.map(|group| group.gid).ok_or_else(|| unknown("group", wanted))
}

/// A number within the kernel's range; `None` when it is a name.
fn number(text: &str) -> Result<Option<u32>, IdentityError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number <= LAST_NUMBER => Ok(Some(number)),
        _ => Err(IdentityError::OutOfRange),
    }
}

fn unknown(what: &'static str, name: &str) -> IdentityError {
    IdentityError::Unknown { what, name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001:App:/home/app:/bin/sh\n\
         1234:x:0:8::/odd:\nlast:x:4294967295:0::/:\n";
    const GROUPS: &str =
        "root:x:0:\nstaff:x:50:app,other\nvideo:x:44:app\nbad:x:nope:app\n1234:x:0:\nlast:x:4294967295:\n";

    fn identity(user: &str, additional: &[&str]) -> Result<Identity, String> {
        with_groups(user, additional, GroupsOfUser::WithoutGroup)
    }

    fn with_groups(user: &str, additional: &[&str], groups: GroupsOfUser) -> Result<Identity, String> {
        let additional: Vec<String> = additional.iter().map(|name| (*name).to_owned()).collect();
        let asked = AskedIdentity { user, additional_groups: &additional, groups_of_user: groups };
        Identity::resolve(&asked, USERS, GROUPS).map_err(|error| error.to_string())
    }

    #[test]
    fn groups_of_the_containers_files_are_merged_or_left_out() {
        let groups = |user, policy| with_groups(user, &["9"], policy).expect(user).groups;
        assert_eq!(groups("1000:7", GroupsOfUser::All), [7, 9, 44, 50]);
        assert_eq!(groups("1000:7", GroupsOfUser::WithoutGroup), [7, 9]);
        assert_eq!(groups("1000", GroupsOfUser::None), [9, 1001]);
        assert_eq!(groups("4242", GroupsOfUser::All), [0, 9]);
    }

    fn numbers(user: &str, additional: &[&str]) -> (u32, u32, Vec<u32>, String) {
        let found = identity(user, additional).expect(user);
        (found.uid, found.gid, found.groups, found.home)
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(numbers("", &[]), (0, 0, vec![0], "/root".into()));
        assert_eq!(numbers("app", &[]), (1000, 1001, vec![44, 50, 1001], "/home/app".into()));
        assert_eq!(
            numbers("1000", &["root", "9"]),
            (1000, 1001, vec![0, 9, 44, 50, 1001], "/home/app".into())
        );
        assert_eq!(numbers("app:staff", &[]), (1000, 50, vec![50], "/home/app".into()));
        assert_eq!(numbers("4242", &[]), (4242, 0, vec![0], "/".into()));
        assert_eq!(numbers("4242:4243", &[]), (4242, 4243, vec![4243], "/".into()));
        assert_eq!(numbers("1234", &[]), (1234, 0, vec![0], "/".into()), "a name of digits is no name");
        assert_eq!(numbers("app:1234", &[]), (1000, 1234, vec![1234], "/home/app".into()));
    }

    #[test]
    fn errors_say_what_is_unknown() {
        let range = "Uids and gids must be in range 0-2147483647";
        for (user, additional, words) in [
            ("nosuch", &[][..], "Unable to find user nosuch"),
            ("app:nosuch", &[], "Unable to find group nosuch"),
            ("app", &["none"], "Unable to find group none"),
            ("last", &[], "Unable to find user last"),
            ("app:last", &[], "Unable to find group last"),
            ("app", &[""], "Unable to find group "),
            ("-1", &[], range),
            ("99999999999", &[], range),
            ("0:2147483648", &[], range),
        ] {
            assert_eq!(identity(user, additional).expect_err(user), words, "{user}");
        }
    }
}
