//! Where the kernel's file systems are; arguments, so that logic is testable without a kernel.

use std::path::PathBuf;

/// The roots of the host's procfs and cgroup file systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Usually `/proc`.
    pub proc: PathBuf,
    /// Usually `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}
