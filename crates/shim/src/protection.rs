//! Keeps the kernel from killing the shim for memory, and its container's processes from inheriting that.

use std::fs;

/// proc_pid_oom_score_adj(5): with this score a process is spared as long as there is any other.
const SPARED: &str = "-998";

const FILE: &str = "/proc/self/oom_score_adj";

/// The shim's protection; none without the privilege for it.
pub(crate) struct Protection {
    /// The score the shim was born with, if it could be lowered.
    inherited: Option<String>,
}

impl Protection {
    /// Lowers the shim's score.
    pub(crate) fn begin() -> Self {
        let inherited = fs::read_to_string(FILE).ok();
        Self { inherited: inherited.filter(|_| fs::write(FILE, SPARED).is_ok()) }
    }

    /// Makes processes while the shim has the score it was born with, which they inherit.
    pub(crate) fn lifted<T>(&self, make: impl FnOnce() -> T) -> T {
        let Some(inherited) = &self.inherited else {
            return make();
        };
        // A score can always be raised, and be lowered again by who was allowed to before.
        let _ = fs::write(FILE, inherited);
        let made = make();
        let _ = fs::write(FILE, SPARED);
        made
    }
}
