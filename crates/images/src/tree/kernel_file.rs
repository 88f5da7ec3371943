//! Files that the kernel makes up while they are read, in /proc and the like: their size says nothing of
//! their content.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{self, Stat};

/// What statfs(2) calls the file systems of such files: proc, sysfs, cgroup, cgroup2, debugfs, tracefs,
/// securityfs (linux/magic.h).
const FILE_SYSTEMS: [u64; 7] =
    [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673];

/// No more of one is read: some have no end.
const LIMIT: u64 = 16 << 20;

/// The content of such a file, as far as it lets itself be read; nothing for any other file.
pub(super) fn content(file: &OwnedFd, stat: &Stat) -> Option<Vec<u8>> {
    if stat.st_blocks != 0 {
        return None;
    }
    let kind = fs::fstatfs(file).ok()?.f_type;
    if !FILE_SYSTEMS.iter().any(|known| u64::try_from(kind) == Ok(*known)) {
        return None;
    }
    let mut content = Vec::new();
    // Many refuse to be read, or have nothing to say now.
    let _ = File::from(file.try_clone().ok()?).take(LIMIT).read_to_end(&mut content);
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_makes_up_is_read_here() {
        let read = |path: &str| {
            let file = OwnedFd::from(File::open(path).expect(path));
            let stat = fs::fstat(&file).expect("its attributes");
            content(&file, &stat)
        };
        let release = read("/proc/sys/kernel/osrelease").expect("a release");
        assert!(release.ends_with(b"\n") && release.len() > 3);
        assert_eq!(read("/proc/self/mem"), Some(Vec::new()), "what refuses is empty");
        assert_eq!(read("/etc/passwd"), None);
    }
}
