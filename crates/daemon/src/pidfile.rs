//! The file with the daemon's pid: refuses a second daemon, replaces what a dead one left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    /// The daemon that wrote it still runs.
    #[error("pid file {} says that a daemon runs as process {pid}; remove the file if it is wrong", path.display())]
    Running { path: PathBuf, pid: u32 },
    /// It cannot be written.
    #[error("cannot write the pid file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A written pid file; dropping it removes it.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes this process's pid.
    pub(crate) fn write(path: &Path) -> Result<Self, PidFileError> {
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok())
            && is_daemon(pid)
        {
            return Err(PidFileError::Running { path: path.into(), pid });
        }
        let error = |source| PidFileError::Write { path: path.into(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(error)?;
        }
        fs::write(path, format!("{}\n", std::process::id())).map_err(error)?;
        Ok(Self(path.into()))
    }
}

/// Whether a process exists, is not this one, and runs the same program as this one.
fn is_daemon(pid: u32) -> bool {
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    pid != std::process::id() && name(&pid.to_string()).is_some_and(|other| name("self") == Some(other))
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Gone already when somebody cleared the directory: as wanted.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_daemons_file_is_replaced() {
        let path = std::env::temp_dir().join(format!("berth-pidfile-{}/x/berth.pid", std::process::id()));
        let file = PidFile::write(&path).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{}\n", std::process::id()));
        fs::write(&path, "4194305\n").expect("beyond the largest pid");
        drop(PidFile::write(&path).expect("replaced"));
        assert!(!path.exists());
        drop(file);
        fs::remove_dir_all(path.ancestors().nth(2).expect("directory")).expect("cleared");
    }
}
