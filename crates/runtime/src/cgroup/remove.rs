//! Ends what runs in a container's cgroups and removes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{Cgroup, file};
use crate::CgroupError;

/// How long processes may take to die and directories to become unused.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

impl Cgroup {
    /// The host's numbers of all processes.
    ///
    /// # Errors
    /// When the cgroup cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        let directory = self.unified().or_else(|| self.directories().first().map(PathBuf::as_path));
        let mut found = Vec::new();
        if let Some(directory) = directory {
            gather(directory, &mut found)?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Kills every process, frozen or not, and returns when none is left.
    ///
    /// # Errors
    /// When the kernel refuses or processes remain after ten seconds.
    pub fn kill(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + TIMEOUT;
        while !self.is_empty()? {
            self.kill_once()?;
            if Instant::now() > deadline {
                return Err(CgroupError::new("killing the container's processes", Errno::TIMEDOUT));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Removes all directories; those that are gone are no error.
    ///
    /// # Errors
    /// When a directory stays busy.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + TIMEOUT;
        for (hierarchy, directory) in self.hierarchies.iter().zip(&self.directories) {
            remove_tree(directory, deadline)?;
            if self.owns_parents {
                remove_empty_parents(&hierarchy.mount, directory);
            }
        }
        Ok(())
    }

    /// Removes one directory of v1 that an earlier life of the container has left, and kills what is in it. Where there
    /// is v2, its directory belongs to the present life already.
    pub(crate) fn remove_left(&self, directory: &Path) -> Result<(), CgroupError> {
        match self.unified() {
            // What is frozen does not die; there may be nothing to thaw.
            Some(_) => drop(self.thaw()),
            None => self.kill()?,
        }
        remove_tree(directory, Instant::now() + TIMEOUT)
    }

    /// v2 reports it at once; without it every hierarchy is checked.
    fn is_empty(&self) -> Result<bool, CgroupError> {
        if let Some(directory) = self.unified() {
            return match fs::read_to_string(directory.join("cgroup.events")) {
                Ok(events) => Ok(file::flag(&events, "populated") != Some(1)),
                Err(error) if is_gone(&error) => Ok(true),
                Err(error) => Err(CgroupError::new(format!("read {}", directory.display()), error)),
            };
        }
        let mut found = Vec::new();
        self.directories().iter().try_for_each(|directory| gather(directory, &mut found))?;
        Ok(found.is_empty())
    }

    /// Kills every process, frozen or not, without waiting for their end.
    pub(crate) fn kill_once(&self) -> Result<(), CgroupError> {
        let killed = match self.unified() {
            Some(directory) => write_kill(directory)?,
            None => false,
        };
        if !killed {
            // Linux before 5.14, or no v2: frozen, nothing can fork between the reading and the kill.
            let _ = self.freeze();
            for directory in self.directories() {
                kill_in(directory)?;
            }
        }
        // A process frozen by v1 dies only when thawed.
        match self.thaw() {
            Err(error) if !is_gone(&error.source) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Uses cgroup.kill; false when the kernel lacks it.
fn write_kill(directory: &Path) -> Result<bool, CgroupError> {
    match file::write(directory, "cgroup.kill", "1") {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error.source) => Ok(false),
        Err(error) => Err(error),
    }
}

fn kill_in(directory: &Path) -> Result<(), CgroupError> {
    let list = || {
        let mut found = Vec::new();
        gather(directory, &mut found).map(|()| found)
    };
    sys::process::kill_listed(list).map(drop)
}

/// All processes of a directory and those beneath it. One that vanishes meanwhile counts as empty.
fn gather(directory: &Path, found: &mut Vec<u32>) -> Result<(), CgroupError> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let path = directory.join("cgroup.procs");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let pids = text.lines().filter_map(|line| line.parse::<u32>().ok());
                found.extend(pids.filter(|pid| *pid != 0));
            }
            Err(error) if is_gone(&error) => continue,
            // A threaded group of v2 has no list of its own; its domain's list has all.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {}
            Err(error) => return Err(CgroupError::new(format!("read {}", path.display()), error)),
        }
        waiting.extend(children(&directory));
    }
    Ok(())
}

/// The groups within a group; a directory's links count them, so that most need no listing.
fn children(directory: &Path) -> Vec<PathBuf> {
    let has_none = rustix::fs::stat(directory).is_ok_and(|status| status.st_nlink == 2);
    if has_none {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes a group and those that the container made in it, each behind those in it.
fn remove_tree(directory: &Path, deadline: Instant) -> Result<(), CgroupError> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.last().cloned() {
        match fs::remove_dir(&directory) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) if Instant::now() > deadline => {
                return Err(CgroupError::new(format!("rmdir {}", directory.display()), error));
            }
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                // Groups that the container made, a process that moved itself elsewhere, or one that the
                // kernel has not quite released.
                kill_in(&directory)?;
                let children = children(&directory);
                if children.is_empty() {
                    std::thread::sleep(PAUSE);
                }
                waiting.extend(children);
                continue;
            }
            Err(error) => return Err(CgroupError::new(format!("rmdir {}", directory.display()), error)),
        }
        waiting.pop();
    }
    Ok(())
}

/// The groups above that were made for this container alone.
fn remove_empty_parents(mount: &Path, directory: &Path) {
    for above in directory.ancestors().skip(1).take_while(|above| *above != mount) {
        if fs::remove_dir(above).is_err() {
            return;
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}
