//! The files of a container's cgroup, whichever version of cgroups the host has.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether the host has the unified hierarchy alone.
#[must_use]
pub fn is_unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The directory of a process's cgroup in one controller's hierarchy.
///
/// # Panics
/// When the process is gone or the host lacks the controller.
#[must_use]
pub fn directory(pid: u32, controller: &str) -> PathBuf {
    let listed = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process's cgroups");
    for line in listed.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next().unwrap_or_default();
        let path = fields.next().unwrap_or_default().trim_start_matches('/');
        let mine = controllers.split(',').any(|name| name == controller);
        if is_unified() && controllers.is_empty() {
            return Path::new("/sys/fs/cgroup").join(path);
        }
        if mine {
            return Path::new("/sys/fs/cgroup").join(controllers.trim_start_matches("name=")).join(path);
        }
    }
    panic!("no cgroup of the controller {controller} in:\n{listed}");
}

/// A file of a process's cgroup: `(version 1's controller and file, version 2's file)`.
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn read(pid: u32, controller: &str, version_1: &str, version_2: &str) -> String {
    let name = if is_unified() { version_2 } else { version_1 };
    let path = directory(pid, controller).join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().to_owned()
}

/// Whether all processes of a process's cgroup stand still.
#[must_use]
pub fn is_frozen(pid: u32) -> bool {
    if is_unified() {
        read(pid, "", "", "cgroup.events").contains("frozen 1")
    } else {
        read(pid, "freezer", "freezer.state", "") == "FROZEN"
    }
}

/// Freezes or thaws a process's cgroup, and waits until it is so.
///
/// # Panics
/// When the kernel refuses.
pub fn freeze(pid: u32, frozen: bool) {
    let (name, word) = match (is_unified(), frozen) {
        (true, true) => ("cgroup.freeze", "1"),
        (true, false) => ("cgroup.freeze", "0"),
        (false, true) => ("freezer.state", "FROZEN"),
        (false, false) => ("freezer.state", "THAWED"),
    };
    fs::write(directory(pid, "freezer").join(name), word).expect("the freezer");
    crate::wait::until("the freezer", || (is_frozen(pid) == frozen).then_some(()));
}
