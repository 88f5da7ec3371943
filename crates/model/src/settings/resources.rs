//! A container's limits on the machine's resources.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CpuSet, SettingError, Spelled};
use crate::DeviceRule;

/// Limits of memory, processors, block devices and processes. In numbers 0 means unset, unless documented
/// otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceSettings {
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of memory and swap together; -1 is no limit.
    pub memory_swap: i64,
    /// Bytes of memory kept under pressure.
    pub memory_reservation: i64,
    /// Bytes of kernel memory.
    pub kernel_memory: i64,
    /// 0 to 100; -1 and `None` are not set.
    pub memory_swappiness: Option<i64>,
    /// Whether a container without memory waits instead of being killed.
    pub oom_kill_disable: bool,
    /// Relative weight of CPU time.
    pub cpu_shares: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Microseconds of CPU time a period; -1 is no limit.
    pub cpu_quota: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// Processors.
    pub cpuset_cpus: Spelled<CpuSet>,
    /// Memory nodes.
    pub cpuset_mems: Spelled<CpuSet>,
    /// Relative weight at block devices.
    pub block_weight: i64,
    /// Weights at single block devices.
    pub block_weight_devices: Option<Vec<BlockDeviceSetting>>,
    /// Bytes a second that are read.
    pub block_read_bytes: Option<Vec<BlockDeviceSetting>>,
    /// Bytes a second that are written.
    pub block_write_bytes: Option<Vec<BlockDeviceSetting>>,
    /// Operations a second that read.
    pub block_read_operations: Option<Vec<BlockDeviceSetting>>,
    /// Operations a second that write.
    pub block_write_operations: Option<Vec<BlockDeviceSetting>>,
    /// Most processes and threads.
    pub pids_limit: Option<i64>,
    /// Limits of each process; an empty element stands for an empty entry.
    pub ulimits: Option<Vec<Option<Ulimit>>>,
    /// Devices that may be used in addition to those that are shown.
    pub device_rules: Option<Vec<Spelled<DeviceRule>>>,
    /// Bytes of huge pages by the size of the pages, in the kernel's words (`2MB`, `1GB`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub huge_pages: BTreeMap<String, u64>,
    /// Settings of cgroup version 2 by the names of their files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unified: BTreeMap<String, String>,
}

/// A limit or a weight of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDeviceSetting {
    /// Its node on the host.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: i64,
    /// The weight.
    pub weight: i64,
}

/// A resource limit of a container's processes, setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Which.
    pub name: LimitName,
    /// Up to which the soft limit may be raised; -1 is no limit.
    pub hard: i64,
    /// The soft limit; -1 is unlimited.
    pub soft: i64,
}

macro_rules! limit_names {
    ($($variant:ident = $name:literal,)+) => {
        /// Which resource setrlimit(2) limits, without `RLIMIT_`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        pub enum LimitName {
            $($variant,)+
        }

        impl FromStr for LimitName {
            type Err = SettingError;
            fn from_str(text: &str) -> Result<Self, SettingError> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    other => Err(SettingError::LimitName(other.to_owned())),
                }
            }
        }

        impl fmt::Display for LimitName {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self {
                    $(Self::$variant => $name,)+
                })
            }
        }
    };
}

limit_names! {
    Core = "core",
    Cpu = "cpu",
    Data = "data",
    FileSize = "fsize",
    Locks = "locks",
    LockedMemory = "memlock",
    MessageQueues = "msgqueue",
    Nice = "nice",
    OpenFiles = "nofile",
    Processes = "nproc",
    ResidentSet = "rss",
    RealTimePriority = "rtprio",
    RealTime = "rttime",
    PendingSignals = "sigpending",
    Stack = "stack",
}

impl TryFrom<String> for LimitName {
    type Error = SettingError;
    fn try_from(text: String) -> Result<Self, SettingError> {
        text.parse()
    }
}

impl From<LimitName> for String {
    fn from(name: LimitName) -> Self {
        name.to_string()
    }
}
