//! Keeps the kernel from killing the shim for memory, and its container's processes from inheriting that.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// proc_pid_oom_score_adj(5): with this score a process is spared as long as there is any other.
const SPARED: &str = "-998";

const FILE: &str = "/proc/self/oom_score_adj";

/// The shim's protection; none without the privilege for it.
pub(crate) struct Protection {
    /// The score the shim was born with, if it could be lowered, and the open file, which health checks write before
    /// and after every probe.
    lowered: Option<(String, File)>,
}

impl Protection {
    /// Lowers the shim's score.
    pub(crate) fn begin() -> Self {
        let inherited = fs::read_to_string(FILE).ok();
        let file = File::options().write(true).open(FILE).ok();
        Self { lowered: inherited.zip(file).filter(|(_, file)| write(file, SPARED)) }
    }

    /// Makes processes while the shim has the score it was born with, which they inherit.
    pub(crate) fn lifted<T>(&self, make: impl FnOnce() -> T) -> T {
        let Some((inherited, file)) = &self.lowered else {
            return make();
        };
        // A score can always be raised, and lowered again by a process that was allowed to before.
        write(file, inherited);
        let made = make();
        write(file, SPARED);
        made
    }
}

/// Returns whether the kernel has accepted the score.
fn write(file: &File, score: &str) -> bool {
    file.write_at(score.as_bytes(), 0).is_ok()
}
