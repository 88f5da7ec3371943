//! How a process moves itself into its container's directories: it is born into that of v2, and writes itself into those
//! of v1.
//!
//! A thread that moves itself by `tasks` takes no lock over all processes. Moving another process by
//! `cgroup.procs` takes it, and may wait milliseconds for every processor.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::Cgroup;
use super::hierarchy::Kind;
use crate::CgroupError;

/// The files by which a process enters the directories of v1, open, so that they are in reach wherever its root is.
#[derive(Debug)]
pub(crate) struct Entrances(Vec<(PathBuf, File)>);

impl Cgroup {
    /// The directory of v2, for a clone that is born into it; `None` where the host has none.
    pub(crate) fn clone_target(&self) -> Result<Option<OwnedFd>, CgroupError> {
        let Some(directory) = self.unified() else { return Ok(None) };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(directory, flags, Mode::empty())
            .map(Some)
            .map_err(|source| CgroupError::new(format!("open {}", directory.display()), source))
    }

    /// The directory of v2 beneath the container's own, `top`, in which one of its processes is. A container that
    /// manages groups of its own, as systemd does, has all its processes in such: the kernel accepts none in a group
    /// that delegates controllers. `None` when the process is elsewhere.
    pub(crate) fn place_beneath(&self, top: BorrowedFd<'_>, pid: u32) -> Option<OwnedFd> {
        let groups = std::fs::read_to_string(self.proc.join(pid.to_string()).join("cgroup")).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let unified = self.hierarchies.iter().find(|hierarchy| hierarchy.kind == Kind::Unified)?;
        let place = unified.mount.join(path.trim_start_matches('/'));
        let below = place.strip_prefix(self.unified()?).ok()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(top, below, flags, Mode::empty(), resolve).ok()
    }

    /// Opens the entrances of the directories of v1.
    pub(crate) fn entrances(&self) -> Result<Entrances, CgroupError> {
        let pairs = self.hierarchies.iter().zip(&self.directories);
        let legacy = pairs.filter(|(hierarchy, _)| hierarchy.kind != Kind::Unified);
        let files = legacy.map(|(_, directory)| {
            let path = directory.join("tasks");
            match OpenOptions::new().write(true).open(&path) {
                Ok(file) => Ok((path, file)),
                Err(source) => Err(CgroupError::new(format!("open {}", path.display()), source)),
            }
        });
        files.collect::<Result<_, _>>().map(Entrances)
    }
}

impl Entrances {
    /// Moves the calling process, which has a single thread.
    pub(crate) fn enter(self) -> Result<(), CgroupError> {
        self.0.into_iter().try_for_each(|(path, mut file)| {
            file.write_all(b"0")
                .map_err(|source| CgroupError::new(format!("write {}", path.display()), source))
        })
    }
}
