//! The table of mounts, line by line (proc_pid_mountinfo(5)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// One mount of a process's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedAt<'t> {
    /// The mount's number, `STATX_MNT_ID` of statx(2).
    pub id: u64,
    /// The file system's device, `major:minor`.
    pub device: &'t str,
    /// The mounted part of the file system.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Whether what is mounted beneath it is seen in its peers, mount_namespaces(7).
    pub is_shared: bool,
    /// Whether it sees what is mounted beneath a mount that it was copied of.
    pub is_slave: bool,
    /// The sort of file system.
    pub kind: &'t str,
    /// The file system's own options, as they stand there.
    pub options: &'t str,
}

/// Parses the lines of a table; malformed ones are skipped.
pub fn parse(table: &str) -> impl Iterator<Item = MountedAt<'_>> {
    table.lines().filter_map(line)
}

/// Fields: id, parent, device, root, mount point, options, optional fields, `-`, type, source, options of
/// the file system.
fn line(line: &str) -> Option<MountedAt<'_>> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ');
    let (id, device) = (mount.next()?.parse().ok()?, mount.nth(1)?);
    let (root, point) = (mount.next()?, mount.next()?);
    let (mut is_shared, mut is_slave) = (false, false);
    // The options of the mount come first.
    for field in mount.skip(1) {
        is_shared |= field.starts_with("shared:");
        is_slave |= field.starts_with("master:");
    }
    let mut file_system = file_system.split(' ');
    let (kind, options) = (file_system.next()?, file_system.nth(1)?);
    let (root, point) = (unescaped(root), unescaped(point));
    Some(MountedAt { id, device, root, point, is_shared, is_slave, kind, options })
}

/// Undoes the octal escapes of spaces, tabs, line ends and backslashes.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'\\').then(|| after.get(..3)).flatten();
        let number = escaped.and_then(|digits| OsStr::from_bytes(digits).to_str());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_number_of_optional_ones() {
        let table = r"36 35 98:0 /mnt1 /a\040b/c\134d rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=x
36 35
37 35 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        let found: Vec<_> = parse(table).collect();
        let escaped = MountedAt {
            id: 36,
            device: "98:0",
            root: "/mnt1".into(),
            point: r"/a b/c\d".into(),
            is_shared: true,
            is_slave: true,
            kind: "ext3",
            options: "rw,errors=x",
        };
        assert_eq!(found[0], escaped);
        assert_eq!((found.len(), found[1].kind, found[1].options), (2, "cgroup", "rw,cpu"));
        assert_eq!((found[1].id, found[1].is_shared, found[1].is_slave), (37, false, false));
    }

    #[test]
    fn the_table_of_this_process_is_read() {
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the table");
        assert_eq!(parse(&table).count(), table.lines().count());
    }
}
