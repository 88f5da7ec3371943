//! `--userns-remap`: the subordinate users and groups of containers, subuid(5).

use model::{IdMapping, IdRange};

use super::SettingsError;

/// The user whose ranges `default` stands for.
const DEFAULT_USER: &str = "dockremap";

/// The texts of the host's files of accounts and of subordinate ids.
#[derive(Debug, Default)]
pub(super) struct AccountFiles {
    pub(super) users: String,
    pub(super) groups: String,
    pub(super) subordinate_users: String,
    pub(super) subordinate_groups: String,
}

impl AccountFiles {
    /// Reads them; what is not there is empty.
    pub(super) fn of_host() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            users: read("/etc/passwd"),
            groups: read("/etc/group"),
            subordinate_users: read("/etc/subuid"),
            subordinate_groups: read("/etc/subgid"),
        }
    }
}

/// Resolves `default`, `USER[:GROUP]` or `UID[:GID]`; without a group it is that with the user's name.
///
/// # Errors
/// An account or a range that is not there.
pub(super) fn resolve(asked: &str, files: &AccountFiles) -> Result<IdMapping, SettingsError> {
    let problem = |text: String| SettingsError::flag("userns-remap", text);
    let (user, group) = match asked {
        "default" => (DEFAULT_USER, DEFAULT_USER),
        asked => asked.split_once(':').unwrap_or((asked, "")),
    };
    let (user, user_number) = account(&files.users, user)
        .ok_or_else(|| problem(format!("there is no user {user:?} on this host")))?;
    let group = if group.is_empty() { user.as_str() } else { group };
    let (group, group_number) = account(&files.groups, group)
        .ok_or_else(|| problem(format!("there is no group {group:?} on this host")))?;
    let ranges = |text: &str, file: &str, name: &str, number: &str| {
        let ranges = ranges(text, &[name, number])
            .ok_or_else(|| problem(format!("{file} has a range of {name} that is out of bounds")))?;
        match ranges.is_empty() {
            true => Err(problem(format!(
                "{file} has no range of {name}: a line such as {name}:100000:65536 is needed"
            ))),
            false => Ok(ranges),
        }
    };
    Ok(IdMapping {
        users: ranges(&files.subordinate_users, "/etc/subuid", &user, &user_number)?,
        groups: ranges(&files.subordinate_groups, "/etc/subgid", &group, &group_number)?,
    })
}

/// The name and the number of an account by one of them, passwd(5), group(5).
fn account(text: &str, asked: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (name == asked || number == asked).then(|| (name.to_owned(), number.to_owned()))
    })
}

/// The ranges of an account, one after the other from 0; `None` where they are more than there are numbers.
fn ranges(text: &str, owners: &[&str]) -> Option<Vec<IdRange>> {
    let mut found = Vec::new();
    let mut inside = 0_u32;
    for line in text.lines() {
        let mut fields = line.trim().split(':');
        let (Some(owner), Some(first), Some(count)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (Ok(outside), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else { continue };
        if !owners.contains(&owner) || count == 0 {
            continue;
        }
        outside.checked_add(count)?;
        found.push(IdRange { inside, outside, count });
        inside = inside.checked_add(count)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> AccountFiles {
        AccountFiles {
            users: "root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\ndockremap:x:110:115::/:/bin/false\n".into(),
            groups: "root:x:0:\nann:x:1001:\nstaff:x:50:\ndockremap:x:115:\n".into(),
            subordinate_users: "dockremap:100000:65536\nann:200000:10\n# note\nann:300000:5\n".into(),
            subordinate_groups: "dockremap:100000:65536\n1001:400000:7\n50:500000:9\nstaff:4294967295:2\n".into(),
        }
    }

    #[test]
    fn ranges_follow_each_other_from_root() {
        let mapping = resolve("default", &files()).expect("the default");
        let whole = [IdRange { inside: 0, outside: 100_000, count: 65536 }];
        assert_eq!((mapping.users, mapping.groups), (whole.to_vec(), whole.to_vec()));
        for asked in ["ann", "1000", "ann:ann", "1000:1001"] {
            let mapping = resolve(asked, &files()).expect(asked);
            let users = [
                IdRange { inside: 0, outside: 200_000, count: 10 },
                IdRange { inside: 10, outside: 300_000, count: 5 },
            ];
            assert_eq!(mapping.users, users, "{asked}");
            assert_eq!(mapping.groups, [IdRange { inside: 0, outside: 400_000, count: 7 }], "{asked}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (asked, words) in [
            ("bob", "there is no user \"bob\" on this host"),
            ("ann:bobs", "there is no group \"bobs\" on this host"),
            ("root", "/etc/subuid has no range of root: a line such as root:100000:65536 is needed"),
            ("ann:staff", "/etc/subgid has a range of staff that is out of bounds"),
        ] {
            let error = resolve(asked, &files()).expect_err(asked).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
