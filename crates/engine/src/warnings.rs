//! Settings that this host's kernel cannot apply: left off, with a warning.

use std::path::Path;
use std::sync::LazyLock;

use model::{ResourceSettings, Spelled};

/// The limits that the host's cgroups support; read once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `Memory`.
    pub memory: bool,
    /// `MemorySwap`.
    pub swap: bool,
    /// `MemorySwappiness`.
    pub swappiness: bool,
    /// `OomKillDisable`.
    pub oom_kill_disable: bool,
    /// `CpuPeriod` and `CpuQuota`.
    pub cpu_quota: bool,
    /// `CpuShares`.
    pub cpu_shares: bool,
    /// `CpusetCpus` and `CpusetMems`.
    pub cpuset: bool,
    /// `BlkioWeight` and `BlkioWeightDevice`.
    pub block_weight: bool,
    /// `KernelMemory`.
    pub kernel_memory: bool,
    /// `PidsLimit`.
    pub processes: bool,
    /// Whether the host has only the unified hierarchy (version 2).
    pub unified: bool,
}

static HOST: LazyLock<Limits> = LazyLock::new(|| Limits::of(Path::new("/sys/fs/cgroup")));

impl Limits {
    /// Reads this host's limits.
    #[must_use]
    pub fn of_host() -> Self {
        *HOST
    }

    fn of(root: &Path) -> Self {
        let controllers = std::fs::read_to_string(root.join("cgroup.controllers"));
        if let Ok(controllers) = controllers {
            let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
            let memory = has("memory");
            return Self {
                memory,
                swap: memory && Path::new("/proc/swaps").exists(),
                swappiness: false,
                oom_kill_disable: false,
                cpu_quota: has("cpu"),
                cpu_shares: has("cpu"),
                cpuset: has("cpuset"),
                block_weight: has("io") && has_weights(root),
                kernel_memory: false,
                processes: has("pids"),
                unified: true,
            };
        }
        let file = |controller: &str, file: &str| {
            root.join(controller).join(file).exists()
                || root.join(controller).join("berth").join(file).exists()
        };
        let directory = |name: &str| root.join(name).is_dir();
        let memory = directory("memory");
        Self {
            memory,
            swap: file("memory", "memory.memsw.limit_in_bytes"),
            swappiness: file("memory", "memory.swappiness"),
            oom_kill_disable: file("memory", "memory.oom_control"),
            cpu_quota: file("cpu", "cpu.cfs_quota_us"),
            cpu_shares: file("cpu", "cpu.shares"),
            cpuset: directory("cpuset"),
            // The group at the root shows a scheduler's counters, not the weights of those beneath it.
            block_weight: file("blkio", "blkio.weight") || file("blkio", "blkio.bfq.io_serviced"),
            // Nothing happens with what is written since Linux 5.16.
            kernel_memory: file("memory", "memory.kmem.limit_in_bytes") && is_kernel_before((5, 16)),
            processes: directory("pids"),
            unified: false,
        }
    }
}

/// Whether version 2 has weights of block devices: by the cost model, whose settings stand in the root,
/// or by BFQ, whose weights only the groups beneath it have.
fn has_weights(root: &Path) -> bool {
    let of_group = |group: &Path| group.join("io.weight").exists() || group.join("io.bfq.weight").exists();
    let groups = std::fs::read_dir(root).into_iter().flatten().flatten();
    root.join("io.cost.qos").exists()
        || Path::new("/sys/module/bfq").exists()
        || groups.map(|entry| entry.path()).any(|group| of_group(&group))
}

fn is_kernel_before(version: (u32, u32)) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) < version)
}

/// Drops limits that the kernel lacks and returns the reference's warnings for them.
pub(crate) fn discard_unsupported(host: &mut ResourceSettings) -> Vec<String> {
    discard(host, Limits::of_host())
}

fn discard(host: &mut ResourceSettings, has: Limits) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut lacks = |missing: bool, text: &str| {
        if missing {
            warnings.push(format!("Your kernel does not support {text}"));
        }
        missing
    };
    if lacks(host.memory > 0 && !has.memory, "memory limit capabilities. Limitation discarded.") {
        host.memory = 0;
        host.memory_swap = 0;
    }
    if lacks(
        host.memory > 0 && host.memory_swap != -1 && !has.swap,
        "swap limit capabilities, memory limited without swap.",
    ) {
        host.memory_swap = -1;
    }
    if lacks(
        host.memory_swappiness.is_some_and(|value| value != -1) && !has.swappiness,
        "memory swappiness capabilities, memory swappiness discarded.",
    ) {
        host.memory_swappiness = None;
    }
    if lacks(host.oom_kill_disable && !has.oom_kill_disable, "OomKillDisable, discarding.") {
        host.oom_kill_disable = false;
    }
    if lacks(host.cpu_period > 0 && !has.cpu_quota, "CPU cfs period. Period discarded.") {
        host.cpu_period = 0;
    }
    if lacks(host.cpu_quota > 0 && !has.cpu_quota, "CPU cfs quota. Quota discarded.") {
        host.cpu_quota = 0;
    }
    if lacks(host.cpu_shares > 0 && !has.cpu_shares, "CPU shares. Shares discarded.") {
        host.cpu_shares = 0;
    }
    if lacks(
        (!host.cpuset_cpus.is_empty() || !host.cpuset_mems.is_empty()) && !has.cpuset,
        "cpuset. Cpuset discarded.",
    ) {
        host.cpuset_cpus = Spelled::default();
        host.cpuset_mems = Spelled::default();
    }
    if lacks(host.block_weight > 0 && !has.block_weight, "Block I/O weight. Weight discarded.") {
        host.block_weight = 0;
    }
    let has_device_weights = host.block_weight_devices.as_ref().is_some_and(|weights| !weights.is_empty());
    if lacks(has_device_weights && !has.block_weight, "Block I/O weight_device. Weight-device discarded.") {
        host.block_weight_devices = None;
    }
    if lacks(
        host.pids_limit.is_some_and(|limit| limit > 0) && !has.processes,
        "pids limit. Pids limit discarded.",
    ) {
        host.pids_limit = None;
    }
    if lacks(
        host.kernel_memory > 0 && !has.kernel_memory,
        "kernel memory limit capabilities. Limitation discarded.",
    ) {
        host.kernel_memory = 0;
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_kernel_features_are_reported_and_left_out() {
        let nothing = Limits {
            memory: false,
            swap: false,
            swappiness: false,
            oom_kill_disable: false,
            cpu_quota: false,
            cpu_shares: false,
            cpuset: false,
            block_weight: false,
            kernel_memory: false,
            processes: false,
            unified: true,
        };
        let mut host = ResourceSettings {
            memory: 8 << 20,
            cpu_shares: 5,
            oom_kill_disable: true,
            ..ResourceSettings::default()
        };
        assert_eq!(discard(&mut host, nothing).len(), 3);
        assert_eq!(host, ResourceSettings::default());
        assert!(discard(&mut ResourceSettings::default(), nothing).is_empty());
    }
}
