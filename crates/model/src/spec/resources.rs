//! Limits of a container's cgroup.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::CpuSet;

/// Limits of a container's cgroup; `None` leaves the kernel's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; -1 is no limit of swap.
    pub memory_swap: Option<i64>,
    /// Bytes of memory kept under pressure.
    pub memory_reservation: Option<u64>,
    /// Bytes of kernel memory (v1 only).
    pub kernel_memory: Option<u64>,
    /// 0 to 100 (v1 only).
    pub memory_swappiness: Option<u64>,
    /// Whether a container without memory waits instead of being killed (v1 only).
    pub oom_kill_disable: bool,
    /// Relative weight, 2 to 262144, 1024 by default.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds of CPU time a period.
    pub cpu_quota: Option<i64>,
    /// Processors.
    pub cpuset_cpus: Option<CpuSet>,
    /// Memory nodes.
    pub cpuset_mems: Option<CpuSet>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Limits of single block devices.
    pub block_device_limits: Vec<BlockDeviceLimit>,
    /// Most processes and threads; `u64::MAX` takes a limit away.
    pub pids_limit: Option<u64>,
    /// Bytes of huge pages by the size of the pages, in the kernel's words (`2MB`, `1GB`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub huge_pages: BTreeMap<String, u64>,
    /// Files of cgroup version 2 (`memory.high`) and what is written to them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unified: BTreeMap<String, String>,
}

impl Resources {
    /// The weight of version 2, 1 to 10000, for the shares of version 1.
    #[must_use]
    pub fn cpu_weight(&self) -> Option<u64> {
        self.cpu_shares.map(weight_of_shares)
    }

    /// Bytes of swap alone, as version 2 counts it; `u64::MAX` is no limit.
    #[must_use]
    pub fn swap_limit(&self) -> Option<u64> {
        match (self.memory_swap?, self.memory) {
            (-1, _) => Some(u64::MAX),
            (both, Some(memory)) => Some(u64::try_from(both).unwrap_or(0).saturating_sub(memory)),
            (_, None) => None,
        }
    }
}

/// Maps 2…262144 to 1…10000 as the other engines do.
const fn weight_of_shares(shares: u64) -> u64 {
    let shares = if shares < 2 { 2 } else { shares };
    let weight = 1 + (shares - 2) * 9999 / 262_142;
    if weight > 10_000 { 10_000 } else { weight }
}

/// A limit of one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDeviceLimit {
    /// The kind of limit.
    pub kind: BlockLimitKind,
    /// The device's node on the host.
    pub path: PathBuf,
    /// Bytes or operations a second, or a weight.
    pub value: u64,
}

/// The kind of a block device's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum BlockLimitKind {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
    Weight,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_the_ends_of_shares() {
        let weight = |shares| Resources { cpu_shares: Some(shares), ..Resources::default() }.cpu_weight();
        assert_eq!([weight(2), weight(262_144), weight(0)], [Some(1), Some(10_000), Some(1)]);
    }

    #[test]
    fn swap_is_what_is_left_of_both() {
        let limit =
            |memory, memory_swap| Resources { memory, memory_swap, ..Resources::default() }.swap_limit();
        assert_eq!(limit(Some(64), Some(96)), Some(32));
        assert_eq!([limit(None, Some(-1)), limit(Some(64), Some(-1))], [Some(u64::MAX); 2]);
        assert_eq!([limit(None, Some(96)), limit(Some(64), None)], [None; 2]);
    }
}
