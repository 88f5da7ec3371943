//! The counters of a running container, as the runtime reads and the API shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The counters of a container's cgroup, the same for v1 and v2. Times are nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// CPU time of all processes.
    pub cpu_total: u64,
    /// CPU time by processor (v2 has none: empty).
    pub cpu_per_processor: Vec<u64>,
    /// CPU time in user mode.
    pub cpu_user: u64,
    /// CPU time in kernel mode.
    pub cpu_kernel: u64,
    /// Enforcement periods that passed.
    pub throttling_periods: u64,
    /// Periods in which it was throttled.
    pub throttled_periods: u64,
    /// Time for which it was throttled.
    pub throttled_time: u64,
    /// Bytes.
    pub memory_usage: u64,
    /// Bytes, the most there ever were.
    pub memory_maximum_usage: u64,
    /// Times the limit was hit.
    pub memory_failures: u64,
    /// Bytes; the host's memory when there is no limit.
    pub memory_limit: u64,
    /// `memory.stat`, names as the hierarchy's version has them.
    pub memory_details: BTreeMap<String, u64>,
    /// Processes and threads.
    pub processes: u64,
    /// Most processes and threads; `None` is no limit.
    pub processes_limit: Option<u64>,
    /// Block devices' counters by the field's name in the API
    /// (`io_service_bytes_recursive`, `io_serviced_recursive`…).
    pub block: BTreeMap<String, Vec<BlockCounter>>,
    /// Network interfaces but the loopback, as in /proc/net/dev of the container.
    pub interfaces: Vec<InterfaceCounters>,
}

/// One counter of one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCounter {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// Which operations are counted.
    pub operation: BlockOperation,
    /// Bytes, operations or nanoseconds.
    pub value: u64,
}

/// Operations of a block device, as the kernel's files of the cgroup `blkio` call them (blk-cgroup.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BlockOperation {
    Read,
    Write,
    Sync,
    Async,
    Discard,
    Total,
    /// The counter is not one of operations by their kind.
    #[serde(rename = "")]
    Unspecified,
}

impl BlockOperation {
    const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::Sync, Self::Async, Self::Discard, Self::Total, Self::Unspecified];

    /// Its name; empty where no kind of operation is meant.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Sync => "Sync",
            Self::Async => "Async",
            Self::Discard => "Discard",
            Self::Total => "Total",
            Self::Unspecified => "",
        }
    }

    /// The operation of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// The counters of one network interface, as the container sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct InterfaceCounters {
    pub name: String,
    pub received_bytes: u64,
    pub received_packets: u64,
    pub received_errors: u64,
    pub received_dropped: u64,
    pub sent_bytes: u64,
    pub sent_packets: u64,
    pub sent_errors: u64,
    pub sent_dropped: u64,
}
