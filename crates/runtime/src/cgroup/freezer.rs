//! Freezes and thaws all processes of a container.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Cgroup, file};
use crate::CgroupError;

/// How long a process may take to reach a point where it can be frozen.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

impl Cgroup {
    /// Freezes all processes and returns when they are frozen.
    ///
    /// # Errors
    /// When the kernel refuses or it takes longer than ten seconds (then it is thawed again).
    pub fn freeze(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            self.set_frozen(true)?;
            if self.is_completely_frozen()? {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.thaw()?;
                return Err(CgroupError::new("freezing the processes", rustix::io::Errno::TIMEDOUT));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Thaws all processes; no error when they are not frozen.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        self.set_frozen(false)
    }

    /// Whether its processes are frozen or about to be, wherever that came from.
    ///
    /// # Errors
    /// When the cgroup cannot be read.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        self.freezer_state()?.is_frozen()
    }

    /// Opens the files with the frozen state of its processes, for callers that poll it.
    pub(crate) fn freezer_state(&self) -> Result<FreezerState, CgroupError> {
        let open = |directory: &Path, name: &str| {
            let path = directory.join(name);
            File::open(&path).map_err(|source| CgroupError::new(format!("open {}", path.display()), source))
        };
        Ok(FreezerState(match self.freezer() {
            Freezer::Legacy(directory) => StateFiles::Legacy(open(directory, "freezer.state")?),
            Freezer::Unified(directory) => StateFiles::Unified {
                freeze: open(directory, "cgroup.freeze")?,
                events: open(directory, "cgroup.events")?,
            },
            Freezer::None => StateFiles::None,
        }))
    }

    fn is_completely_frozen(&self) -> Result<bool, CgroupError> {
        match self.freezer() {
            Freezer::Legacy(directory) => Ok(file::read(directory, "freezer.state")?.trim() == "FROZEN"),
            Freezer::Unified(directory) => {
                Ok(file::flag(&file::read(directory, "cgroup.events")?, "frozen") == Some(1))
            }
            Freezer::None => Ok(false),
        }
    }

    fn set_frozen(&self, frozen: bool) -> Result<(), CgroupError> {
        match self.freezer() {
            Freezer::Legacy(directory) => {
                file::write(directory, "freezer.state", if frozen { "FROZEN" } else { "THAWED" })
            }
            Freezer::Unified(directory) => {
                file::write(directory, "cgroup.freeze", if frozen { "1" } else { "0" })
            }
            Freezer::None => Err(CgroupError::new("freezing", rustix::io::Errno::OPNOTSUPP)),
        }
    }

    fn freezer(&self) -> Freezer<'_> {
        match (self.legacy("freezer"), self.unified()) {
            (Some(directory), _) => Freezer::Legacy(directory),
            (None, Some(directory)) => Freezer::Unified(directory),
            (None, None) => Freezer::None,
        }
    }
}

/// The open files of a cgroup with the frozen state of its processes.
#[derive(Debug)]
pub(crate) struct FreezerState(StateFiles);

#[derive(Debug)]
enum StateFiles {
    Legacy(File),
    Unified { freeze: File, events: File },
    None,
}

impl FreezerState {
    /// Whether the processes are frozen or about to be.
    pub(crate) fn is_frozen(&self) -> Result<bool, CgroupError> {
        let read =
            |file| read_again(file).map_err(|source| CgroupError::new("read the freezer's state", source));
        match &self.0 {
            StateFiles::Legacy(state) => Ok(read(state)?.trim() != "THAWED"),
            StateFiles::Unified { freeze, events } => {
                Ok(read(freeze)?.trim() != "0" || file::flag(&read(events)?, "frozen") == Some(1))
            }
            StateFiles::None => Ok(false),
        }
    }
}

/// The content of a small file of the kernel, which generates it for each reading from the start.
fn read_again(file: &File) -> io::Result<String> {
    let mut space = [0; 256];
    let length = file.read_at(&mut space, 0)?;
    Ok(String::from_utf8_lossy(&space[..length]).into_owned())
}

enum Freezer<'a> {
    Legacy(&'a Path),
    Unified(&'a Path),
    None,
}
