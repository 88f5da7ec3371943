//! A memory cgroup of a test's own: what eats memory in it is ended by the kernel instead of the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cgroup, wait};

/// A cgroup with a memory limit; it is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    directory: PathBuf,
}

impl MemoryLimit {
    /// Makes the cgroup.
    ///
    /// # Panics
    /// When the host's cgroups cannot be changed.
    pub(crate) fn new(name: &str, bytes: u64) -> Self {
        let (root, file) = if cgroup::is_unified() {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").expect("the memory controller");
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        let directory = Path::new(root).join(name);
        fs::create_dir(&directory).expect("a memory cgroup");
        fs::write(directory.join(file), bytes.to_string()).expect("the memory limit");
        Self { directory }
    }

    /// A command that moves into the cgroup and then becomes the program given to it as arguments, under the
    /// same pid.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("sh");
        let processes = self.directory.join("cgroup.procs");
        command.arg("-ec").arg("echo $$ > \"$0\"; exec \"$@\"").arg(processes);
        command
    }

    /// Whether the kernel has ended a process of the cgroup for its memory.
    pub(crate) fn has_killed(&self) -> bool {
        let file = if cgroup::is_unified() { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // Processes that were killed leave it only when they are gone.
        let remove = || fs::remove_dir(&self.directory);
        if std::thread::panicking() {
            let _ = remove();
        } else {
            wait::until("the end of the memory cgroup", || remove().ok());
        }
    }
}
