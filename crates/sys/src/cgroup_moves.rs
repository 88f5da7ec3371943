//! Makes moving processes between cgroups quick: `favordynmods` of the cgroup v2 file system.
//!
//! Without it, the first write to a `cgroup.procs` after a while waits for an RCU grace period,
//! 5 to 14 milliseconds. With it a move takes microseconds, and every fork and exit a few
//! instructions more (none that can be measured from Linux 6.18 on). It is a setting of the whole
//! host, kept until the next boot; cgroup v1 hierarchies profit too.

use std::io;

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

const OPTION: &str = "favordynmods";

/// Options of the file system as a whole; those of a single mount are not in this list.
const OTHER_OPTIONS: [&str; 6] = [
    "nsdelegate",
    "memory_localevents",
    "memory_recursiveprot",
    "memory_hugetlb_accounting",
    "pids_localevents",
    "cpuset_v2_mode",
];

/// What came of [`make_quick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Moves are quick now.
    Set,
    /// They were already.
    AlreadySet,
    /// The kernel has no such option (before 5.19), or no cgroup v2.
    Unknown,
}

/// Sets the option, keeping the others. Nothing is mounted anywhere: the file system is opened, set
/// and let go.
///
/// # Errors
/// When the table of mounts cannot be read or the kernel refuses.
pub fn make_quick() -> io::Result<Outcome> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let Some(present) = options(&mounts) else { return Ok(Outcome::Unknown) };
    if present.contains(&OPTION) {
        return Ok(Outcome::AlreadySet);
    }
    match set(&present) {
        Ok(()) => Ok(Outcome::Set),
        Err(Errno::INVAL | Errno::NODEV) => Ok(Outcome::Unknown),
        Err(error) => Err(error.into()),
    }
}

fn set(present: &[&str]) -> rustix::io::Result<()> {
    let context = rustix::mount::fsopen(c"cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for option in OTHER_OPTIONS.iter().filter(|option| present.contains(*option)).chain([&OPTION]) {
        rustix::mount::fsconfig_set_flag(&context, *option)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::empty();
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(drop)
}

/// The options of the v2 file system as a whole, the last part of its line.
fn options(mountinfo: &str) -> Option<Vec<&str>> {
    let line = mountinfo.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(line.rsplit(' ').next()?.split(',').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_file_system() {
        let text = "29 20 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(options(text), Some(vec!["rw", "nsdelegate"]));
        assert_eq!(options("1 2 0:3 / / rw - ext4 /dev/vda rw\n"), None);
    }
}
