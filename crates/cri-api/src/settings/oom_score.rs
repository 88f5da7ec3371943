//! How likely the kernel kills a container's processes when memory runs out.

use std::fs;

use rustix::thread::{CapabilitySet, capabilities};

/// The score that a container gets: the requested one, but not below the daemon's own where the daemon lacks
/// CAP_SYS_RESOURCE, which the kernel requires for that, proc_pid_oom_score_adj(5).
pub(super) fn within_rights(asked: i64) -> i64 {
    let may_lower = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    clamped(asked, may_lower, || {
        let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
        own.trim().parse().unwrap_or_default()
    })
}

fn clamped(asked: i64, may_lower: bool, own: impl FnOnce() -> i64) -> i64 {
    if may_lower { asked } else { asked.max(own()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_lowered_only_by_who_may() {
        assert_eq!(clamped(-997, true, || 0), -997);
        assert_eq!((clamped(-997, false, || 0), clamped(-100, false, || -500)), (0, -100));
        assert_eq!(clamped(900, false, || 0), 900);
    }
}
