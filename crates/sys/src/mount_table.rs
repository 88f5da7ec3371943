//! The table of mounts, line by line (proc_pid_mountinfo(5)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// One mount of a process's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedAt<'t> {
    /// The file system's device, `major:minor`.
    pub device: &'t str,
    /// What of the file system is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// The sort of file system.
    pub kind: &'t str,
    /// The file system's own options, as they stand there.
    pub options: &'t str,
}

/// Reads the lines of a table; what is no such line is passed over.
pub fn parse(table: &str) -> impl Iterator<Item = MountedAt<'_>> {
    table.lines().filter_map(line)
}

/// Fields: id, parent, device, root, mount point, options, optional fields, `-`, type, source, options of
/// the file system.
fn line(line: &str) -> Option<MountedAt<'_>> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (device, root, point) = (mount.next()?, mount.next()?, mount.next()?);
    let mut file_system = file_system.split(' ');
    let (kind, options) = (file_system.next()?, file_system.nth(1)?);
    Some(MountedAt { device, root: unescaped(root), point: unescaped(point), kind, options })
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
            device: "98:0",
            root: "/mnt1".into(),
            point: r"/a b/c\d".into(),
            kind: "ext3",
            options: "rw,errors=x",
        };
        assert_eq!(found[0], escaped);
        assert_eq!((found.len(), found[1].kind, found[1].options), (2, "cgroup", "rw,cpu"));
    }

    #[test]
    fn the_table_of_this_process_is_read() {
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the table");
        assert_eq!(parse(&table).count(), table.lines().count());
    }
}
