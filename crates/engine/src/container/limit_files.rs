//! The files of cgroup version 2 that limits are written to.

use model::ResourceSettings;

use crate::container::resources::of_cgroup;

pub(super) const MEMORY: &[&str] = &["memory.max"];
pub(super) const MEMORY_SWAP: &[&str] = &["memory.swap.max"];
pub(super) const MEMORY_RESERVATION: &[&str] = &["memory.low"];
pub(super) const CPU_SHARES: &[&str] = &["cpu.weight", "cpu.weight.nice", "cpu.idle"];
pub(super) const CPU_QUOTA: &[&str] = &["cpu.max"];
pub(super) const CPUS: &[&str] = &["cpuset.cpus"];
pub(super) const MEMORY_NODES: &[&str] = &["cpuset.mems"];
pub(super) const PIDS: &[&str] = &["pids.max"];
pub(super) const BLOCK_WEIGHT: &[&str] = &["io.weight", "io.bfq.weight"];

/// The files that these limits are written to. What was written to them by their names earlier counts
/// no more.
pub(super) fn files_of(asked: &ResourceSettings) -> Vec<&'static str> {
    let limits = of_cgroup(asked);
    let of_limits: [(bool, &[&'static str]); 9] = [
        (limits.memory.is_some(), MEMORY),
        // One that only follows the memory takes no other's place.
        (asked.memory_swap != 0, MEMORY_SWAP),
        (limits.memory_reservation.is_some(), MEMORY_RESERVATION),
        (limits.cpu_shares.is_some(), CPU_SHARES),
        (limits.cpu_period.is_some() || limits.cpu_quota.is_some(), CPU_QUOTA),
        (limits.cpuset_cpus.is_some(), CPUS),
        (limits.cpuset_mems.is_some(), MEMORY_NODES),
        (asked.pids_limit.is_some(), PIDS),
        (limits.blkio_weight.is_some(), BLOCK_WEIGHT),
    ];
    let given = of_limits.into_iter().filter(|(is_given, _)| *is_given);
    given.flat_map(|(_, files)| files.iter().copied()).collect()
}
