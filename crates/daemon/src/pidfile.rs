//! The file with the daemon's pid: refuses a second daemon, replaces what a dead one left.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    /// The daemon that wrote it still runs.
    #[error("pid file {}: a daemon runs as process {pid}; remove the file if this is wrong", path.display())]
    Running { path: PathBuf, pid: u32 },
    /// It cannot be written.
    #[error("cannot write the pid file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A written pid file; dropping it removes it, if it is this process's still.
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
        overwrite(path, &content()).map_err(error)?;
        Ok(Self(path.into()))
    }
}

/// The content that this process writes.
fn content() -> String {
    format!("{}\n", std::process::id())
}

/// Writes a file over what is there, which is cut off only then: some file systems wait for the disk when a file gives all
/// its blocks back.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Whether a process runs, is not this one, and runs the same program as this one.
fn is_daemon(pid: u32) -> bool {
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let is_other = pid != std::process::id() && !is_dead(pid);
    is_other && name(&pid.to_string()).is_some_and(|other| name("self") == Some(other))
}

/// Whether a process has been killed and only waits to be taken off the table, proc_pid_stat(5): all of its threads, since
/// one that is still in the kernel holds its files.
fn is_dead(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let text = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before the state may hold parentheses itself.
        text.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Gone already when the directory was cleared, and perhaps another daemon's by now.
        if fs::read_to_string(&self.0).is_ok_and(|text| text == content()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_dead_daemons_file_is_replaced() {
        let path = std::env::temp_dir().join(format!("berth-pidfile-{}/x/berth.pid", std::process::id()));
        let file = PidFile::write(&path).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{}\n", std::process::id()));
        fs::write(&path, "4194305\nand more\n").expect("a line that is no pid");
        let again = PidFile::write(&path).expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{}\n", std::process::id()));
        fs::write(&path, "4194305\n").expect("beyond the largest pid");
        drop(PidFile::write(&path).expect("replaced"));
        assert!(!path.exists());
        fs::write(&path, "4194305\n").expect("the next daemon's");
        drop(again);
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("text"), "4194305\n", "another daemon's stays");
        fs::remove_dir_all(path.ancestors().nth(2).expect("directory")).expect("cleared");
    }

    #[test]
    fn a_killed_daemon_that_nobody_has_waited_for_is_dead() {
        let program = std::env::current_exe().expect("this program");
        let mut daemon =
            Command::new(program).arg("--list").stdout(Stdio::piped()).spawn().expect("a process");
        let mut listed = String::new();
        let mut output = daemon.stdout.take().expect("its output");
        output.read_to_string(&mut listed).expect("all of its output");
        let end = Instant::now() + Duration::from_secs(60);
        while !is_dead(daemon.id()) {
            assert!(Instant::now() < end, "it does not end");
            std::thread::yield_now();
        }
        assert!(!is_daemon(daemon.id()));
        assert!(daemon.wait().expect("its end").success());
    }
}
