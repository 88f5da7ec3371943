//! Which users and groups of the host those of a user namespace are, user_namespaces(7).

use serde::{Deserialize, Serialize};

/// The mapping of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// Users.
    pub users: Vec<IdRange>,
    /// Groups.
    pub groups: Vec<IdRange>,
}

/// Numbers that follow each other on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first one in the namespace.
    pub inside: u32,
    /// The first one on the host.
    pub outside: u32,
    /// How many there are.
    pub count: u32,
}

impl IdMapping {
    /// Reads what the kernel shows of a process in `uid_map` and `gid_map`; `None` where every number is its own.
    #[must_use]
    pub fn parse(users: &str, groups: &str) -> Option<Self> {
        let mapping = Self { users: parse(users)?, groups: parse(groups)? };
        let is_own = |ranges: &[IdRange]| ranges.iter().all(|range| range.inside == range.outside);
        (!is_own(&mapping.users) || !is_own(&mapping.groups)).then_some(mapping)
    }

    /// The user and the group of the host for those of the namespace; `None` where it lacks one.
    #[must_use]
    pub fn on_host(&self, (user, group): (u32, u32)) -> Option<(u32, u32)> {
        Some((outward(&self.users, user)?, outward(&self.groups, group)?))
    }

    /// The user and the group of the namespace for those of the host, as a process in it sees them.
    #[must_use]
    pub fn as_seen_inside(&self, (user, group): (u32, u32)) -> (u32, u32) {
        (inward(&self.users, user).unwrap_or(OVERFLOW_ID), inward(&self.groups, group).unwrap_or(OVERFLOW_ID))
    }

    /// The last group of those that begin at 0 without a gap.
    #[must_use]
    pub fn last_group(&self) -> u32 {
        let first = self.groups.iter().find(|range| range.inside == 0);
        first.map_or(0, |range| range.count.saturating_sub(1))
    }
}

/// The id that the kernel shows for one that a namespace does not map: the default of
/// /proc/sys/kernel/overflowuid.
const OVERFLOW_ID: u32 = 65534;

/// The lines of `uid_map` or `gid_map`.
#[must_use]
pub fn id_map_lines(ranges: &[IdRange]) -> String {
    let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
    ranges.iter().map(line).collect()
}

fn parse(text: &str) -> Option<Vec<IdRange>> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(IdRange { inside: next()?, outside: next()?, count: next()? })
    };
    text.lines().map(line).collect()
}

fn outward(ranges: &[IdRange], id: u32) -> Option<u32> {
    let found =
        ranges.iter().find(|range| id.checked_sub(range.inside).is_some_and(|at| at < range.count))?;
    found.outside.checked_add(id - found.inside)
}

fn inward(ranges: &[IdRange], id: u32) -> Option<u32> {
    let turn = |range: &IdRange| IdRange { inside: range.outside, outside: range.inside, ..*range };
    outward(&ranges.iter().map(turn).collect::<Vec<_>>(), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_translated_both_ways() {
        let mapping = IdMapping::parse("         0     100000      65536\n", "0 200000 10\n10 300000 5\n");
        let mapping = mapping.expect("a mapping");
        assert_eq!(mapping.on_host((0, 9)), Some((100_000, 200_009)));
        assert_eq!(mapping.on_host((65535, 10)), Some((165_535, 300_000)));
        assert_eq!((mapping.on_host((65536, 0)), mapping.on_host((0, 15))), (None, None));
        assert_eq!(mapping.as_seen_inside((100_007, 300_004)), (7, 14));
        assert_eq!(mapping.as_seen_inside((0, 199_999)), (65534, 65534));
        assert_eq!(mapping.last_group(), 9);
        assert_eq!(id_map_lines(&mapping.groups), "0 200000 10\n10 300000 5\n");
    }

    #[test]
    fn the_hosts_own_namespace_is_no_mapping() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(IdMapping::parse(whole, whole), None);
    }
}
