//! `Warnings` of `/info`: what the host's kernel cannot do for containers.

use engine::Limits;

/// The warnings, `None` when empty.
pub(super) fn of_host(limits: &Limits, forwards: bool) -> Option<Vec<String>> {
    let missing = [
        (limits.memory, "No memory limit support"),
        (limits.swap, "No swap limit support"),
        (limits.oom_kill_disable || limits.unified, "No oom kill disable support"),
        (limits.cpu_quota, "No cpu cfs quota support"),
        (limits.cpu_quota, "No cpu cfs period support"),
        (limits.cpu_shares, "No cpu shares support"),
        (limits.cpuset, "No cpuset support"),
        (limits.processes, "No pids limit support"),
        (forwards, "IPv4 forwarding is disabled"),
    ];
    let warnings: Vec<String> = missing
        .into_iter()
        .filter(|(is_there, _)| !is_there)
        .map(|(_, words)| format!("WARNING: {words}"))
        .collect();
    Some(warnings).filter(|warnings| !warnings.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_a_warning() {
        let all = Limits {
            memory: true,
            swap: true,
            swappiness: true,
            oom_kill_disable: false,
            cpu_quota: true,
            cpu_shares: true,
            cpuset: true,
            block_weight: true,
            kernel_memory: false,
            processes: true,
            unified: true,
        };
        assert_eq!(of_host(&all, true), None);
        let less = Limits { swap: false, ..all };
        let warnings = of_host(&less, false).expect("warnings");
        assert_eq!(warnings, ["WARNING: No swap limit support", "WARNING: IPv4 forwarding is disabled"]);
    }
}
