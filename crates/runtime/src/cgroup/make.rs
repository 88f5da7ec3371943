//! Makes a container's directories.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::hierarchy::{Hierarchy, Kind};
use super::{Cgroup, file};
use crate::CgroupError;

/// Controllers that a v2 container gets when the host has them.
const UNIFIED_CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

impl Cgroup {
    /// Makes the directory of v2, where the host has one, for a process that is born into it. What is left of an earlier
    /// run of the container, whose shim was killed, is ended and removed first: limits and counters begin again.
    pub(crate) fn make_unified(&self) -> Result<(), CgroupError> {
        let Some(directory) = self.unified() else { return Ok(()) };
        if !make_directory(directory)? {
            self.kill()?;
            self.remove()?;
            return self.make_unified();
        }
        self.hand_down(&UNIFIED_CONTROLLERS)
    }

    /// Has the container's group of v2 these controllers, where v2 is all that the host has and has them.
    pub(super) fn hand_down(&self, controllers: &[&str]) -> Result<(), CgroupError> {
        let unified = self.hierarchies.iter().find(|hierarchy| hierarchy.kind == Kind::Unified);
        match unified.filter(|_| self.is_unified()) {
            Some(hierarchy) => enable_controllers(hierarchy, &self.parent, controllers),
            None => Ok(()),
        }
    }

    /// Makes the directories of v1 behind that of v2; what is left of an earlier life goes here too.
    pub(crate) fn make_legacy(&self) -> Result<(), CgroupError> {
        for (hierarchy, directory) in self.hierarchies.iter().zip(&self.directories) {
            let Kind::Legacy(controllers) = &hierarchy.kind else { continue };
            while !make_directory(directory)? {
                self.remove_left(directory)?;
            }
            if controllers.iter().any(|name| name == "cpuset") {
                inherit_cpuset(&hierarchy.mount, directory)?;
            }
        }
        Ok(())
    }
}

/// False when it is there already.
fn make_directory(directory: &Path) -> Result<bool, CgroupError> {
    let fail = |source| CgroupError::new(format!("mkdir {}", directory.display()), source);
    let mut builder = DirBuilder::new();
    builder.mode(0o755);
    let mut attempts = 0;
    loop {
        match builder.create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            // Another container's end may remove the groups above at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < 16 => {
                attempts += 1;
                let above = directory.parent().ok_or_else(|| fail(error))?;
                match DirBuilder::new().recursive(true).mode(0o755).create(above) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
                    _ => {}
                }
            }
            other => return other.map(|()| true).map_err(fail),
        }
    }
}

/// Delegates the controllers from the mount's root to the container's directory.
fn enable_controllers(hierarchy: &Hierarchy, parent: &Path, controllers: &[&str]) -> Result<(), CgroupError> {
    let available = file::read(&hierarchy.mount, "cgroup.controllers")?;
    let wanted: Vec<&str> = controllers.iter().copied().filter(|name| has_word(&available, name)).collect();
    let lowest = file::read(&hierarchy.mount.join(parent), "cgroup.subtree_control")?;
    if wanted.iter().all(|name| has_word(&lowest, name)) {
        return Ok(());
    }
    let mut directory = hierarchy.mount.clone();
    let mut steps = parent.components();
    loop {
        for name in &wanted {
            // One that processes in this group or a real-time task forbid must not cost the
            // others; a limit that needs it fails by itself then.
            let _ = file::write(&directory, "cgroup.subtree_control", &format!("+{name}"));
        }
        match steps.next() {
            Some(step) => directory.push(step),
            None => return Ok(()),
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|found| found == word)
}

/// A v1 cpuset accepts no process before it has processors and memory nodes; a new one has none.
fn inherit_cpuset(mount: &Path, directory: &Path) -> Result<(), CgroupError> {
    let parent = directory.parent().unwrap_or(mount);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        file::write(directory, name, &settled_cpuset(mount, parent, name)?)?;
    }
    Ok(())
}

/// The value of a group above; it and those above it are filled from the first that has one.
fn settled_cpuset(mount: &Path, directory: &Path, name: &str) -> Result<String, CgroupError> {
    let mut empty = Vec::new();
    let mut group = directory;
    let value = loop {
        let present = file::read(group, name)?.trim().to_owned();
        match group.parent().filter(|_| present.is_empty() && group != mount) {
            Some(above) => empty.push(std::mem::replace(&mut group, above)),
            None => break present,
        }
    };
    empty.iter().rev().try_for_each(|group| file::write(group, name, &value))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert!(has_word("cpuset cpu io\n", "cpu"));
        assert!(!has_word("cpuset io", "cpu"));
    }
}
