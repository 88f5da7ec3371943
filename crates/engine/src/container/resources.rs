//! A container's requested limits of memory, processors, block devices and processes: checked on create and
//! update, converted into the runtime's types for a start.

use std::path::PathBuf;

use model::{
    BlockDeviceLimit, BlockDeviceSetting, BlockLimitKind, CpuSet, HostSettings, ResourceLimit,
    ResourceSettings, Resources, Ulimit,
};

use crate::container::processors;
use crate::error::Error;

/// Bytes: the least memory limit the reference takes.
const MINIMUM_MEMORY: i64 = 4 * 1024 * 1024;
/// Fewest and most CPU shares that the kernel takes.
const CPU_SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;
/// Microseconds: the least and the longest period of CPU time, sched-bwc of the kernel's documentation.
const CPU_PERIOD: std::ops::RangeInclusive<i64> = 1_000..=1_000_000;
/// Weights of block devices that the kernel takes.
const BLOCK_WEIGHT: std::ops::RangeInclusive<i64> = 10..=1000;

/// Checks all of it.
///
/// # Errors
/// Refused, in the reference's words where it has some.
pub(crate) fn check(host: &HostSettings) -> Result<(), Error> {
    check_memory(&host.resources)?;
    check_scores(host)?;
    check_processor(&host.resources)?;
    check_block(&host.resources)?;
    check_ulimits(&host.resources)
}

fn check_memory(host: &ResourceSettings) -> Result<(), Error> {
    let refuse = |words: &str| Err(Error::refused(words));
    if host.memory != 0 && host.memory < MINIMUM_MEMORY {
        return refuse("Minimum memory limit allowed is 4MB");
    }
    if host.memory_swap < -1 {
        return refuse("Invalid memoryswap limit: only -1 (no limit) may be below 0.");
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage.");
    }
    if host.memory == 0 && host.memory_swap > 0 {
        return refuse("You should always set the Memory limit when using Memoryswap limit, see usage.");
    }
    if let Some(swappiness) = host.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return refuse(&format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100."));
    }
    if host.memory_reservation < 0 {
        return refuse("The memory reservation must not be negative.");
    }
    if host.memory_reservation != 0 && host.memory != 0 && host.memory_reservation > host.memory {
        return refuse("Minimum memory limit should be larger than memory reservation limit, see usage.");
    }
    if host.kernel_memory != 0 && host.kernel_memory < MINIMUM_MEMORY {
        return refuse("Minimum kernel memory limit allowed is 4MB");
    }
    Ok(())
}

fn check_scores(host: &HostSettings) -> Result<(), Error> {
    let score = host.oom_score_adjustment;
    if !(-1000..=1000).contains(&score) {
        return Err(Error::refused(format!(
            "Invalid value {score}, range for oom score adj is [-1000, 1000]"
        )));
    }
    if host.shm_size < 0 {
        return Err(Error::refused("SHM size can not be less than 0"));
    }
    Ok(())
}

fn check_processor(host: &ResourceSettings) -> Result<(), Error> {
    let refuse = |words: String| Err(Error::refused(words));
    if host.cpu_shares != 0 && host.cpu_shares < *CPU_SHARES.start() {
        return refuse(format!("The minimum allowed cpu-shares is {}", CPU_SHARES.start()));
    }
    if host.cpu_shares > *CPU_SHARES.end() {
        return refuse(format!("The maximum allowed cpu-shares is {}", CPU_SHARES.end()));
    }
    if host.cpu_period != 0 && !CPU_PERIOD.contains(&host.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)".to_owned(),
        );
    }
    // -1 is no quota.
    if host.cpu_quota < -1 || (0 < host.cpu_quota && host.cpu_quota < *CPU_PERIOD.start()) {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)".to_owned());
    }
    if host.nano_cpus < 0 {
        return refuse("NanoCPUs must not be negative".to_owned());
    }
    if host.nano_cpus > 0 && (host.cpu_period > 0 || host.cpu_quota > 0) {
        return refuse(
            "Conflicting options: Nano CPUs and CPU period or quota cannot both be set.".to_owned(),
        );
    }
    processors::check(host)
}

fn check_block(host: &ResourceSettings) -> Result<(), Error> {
    if host.block_weight != 0 && !BLOCK_WEIGHT.contains(&host.block_weight) {
        return Err(Error::refused("Range of blkio weight is from 10 to 1000."));
    }
    for (kind, device) in block_devices(host) {
        if !device.path.starts_with('/') {
            return Err(Error::refused(format!(
                "invalid block device \"{}\": its path must be absolute",
                device.path
            )));
        }
        if kind == BlockLimitKind::Weight && !BLOCK_WEIGHT.contains(&device.weight) {
            return Err(Error::refused(format!(
                "Range of blkio weight is from 10 to 1000, not {} as for {}.",
                device.weight, device.path
            )));
        }
        if kind != BlockLimitKind::Weight && device.rate < 0 {
            return Err(Error::refused(format!("the rate of {} must not be negative", device.path)));
        }
    }
    Ok(())
}

fn check_ulimits(host: &ResourceSettings) -> Result<(), Error> {
    for limit in host.ulimits.iter().flatten().flatten() {
        let name = limit.name;
        if limit.soft < -1 || limit.hard < -1 {
            return Err(Error::refused(format!("invalid ulimit {name}: only -1 (no limit) may be below 0")));
        }
        if amount(limit.soft) > amount(limit.hard) {
            return Err(Error::refused(format!(
                "invalid ulimit {name}: the soft limit {} is above the hard limit {}",
                limit.soft, limit.hard
            )));
        }
    }
    Ok(())
}

fn amount(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// The limits of a process of the container; `defaults` are those of containers that set none.
pub(crate) fn of_process(host: &ResourceSettings, defaults: &[Ulimit]) -> Vec<ResourceLimit> {
    let own = || host.ulimits.iter().flatten().flatten();
    let inherited = defaults.iter().filter(|limit| !own().any(|own| own.name == limit.name));
    let limit = |limit: &Ulimit| ResourceLimit {
        name: limit.name.to_string(),
        soft: amount(limit.soft),
        hard: amount(limit.hard),
    };
    own().chain(inherited).map(limit).collect()
}

/// The limits of the container's cgroup.
pub(crate) fn of_cgroup(host: &ResourceSettings) -> Resources {
    let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let chosen = |set: &CpuSet| Some(set.clone()).filter(|set| !set.is_empty());
    let (period, quota) = if host.nano_cpus > 0 {
        (Some(100_000), Some(host.nano_cpus / 10_000))
    } else {
        (positive(host.cpu_period), Some(host.cpu_quota).filter(|quota| *quota != 0))
    };
    // As much swap as memory where only memory is limited.
    let both = if host.memory_swap == 0 { host.memory.saturating_mul(2) } else { host.memory_swap };
    Resources {
        memory: positive(host.memory),
        memory_swap: Some(both).filter(|both| *both != 0),
        memory_reservation: positive(host.memory_reservation),
        kernel_memory: positive(host.kernel_memory),
        memory_swappiness: host.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        oom_kill_disable: host.oom_kill_disable,
        cpu_shares: positive(host.cpu_shares),
        cpu_period: period,
        cpu_quota: quota,
        cpuset_cpus: chosen(&host.cpuset_cpus),
        cpuset_mems: chosen(&host.cpuset_mems),
        blkio_weight: u16::try_from(host.block_weight).ok().filter(|weight| *weight != 0),
        block_device_limits: block_devices(host).map(|(kind, device)| block_limit(kind, device)).collect(),
        pids_limit: host.pids_limit.and_then(positive),
        huge_pages: host.huge_pages.clone(),
        unified: host.unified.clone(),
    }
}

/// All limits and weights of single block devices.
fn block_devices(host: &ResourceSettings) -> impl Iterator<Item = (BlockLimitKind, &BlockDeviceSetting)> {
    let lists = [
        (BlockLimitKind::Weight, &host.block_weight_devices),
        (BlockLimitKind::ReadBytes, &host.block_read_bytes),
        (BlockLimitKind::WriteBytes, &host.block_write_bytes),
        (BlockLimitKind::ReadOperations, &host.block_read_operations),
        (BlockLimitKind::WriteOperations, &host.block_write_operations),
    ];
    lists.into_iter().flat_map(|(kind, list)| list.iter().flatten().map(move |device| (kind, device)))
}

fn block_limit(kind: BlockLimitKind, device: &BlockDeviceSetting) -> BlockDeviceLimit {
    let value = if kind == BlockLimitKind::Weight { device.weight } else { device.rate };
    BlockDeviceLimit { kind, path: PathBuf::from(&device.path), value: u64::try_from(value).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use model::LimitName;

    use super::*;

    #[test]
    fn memory_rules() {
        let host = |memory, memory_swap| HostSettings {
            resources: ResourceSettings { memory, memory_swap, ..ResourceSettings::default() },
            ..HostSettings::default()
        };
        for (memory, swap, good) in [
            (0, 0, true),
            (1, 0, false),
            (-1, 0, false),
            (8 << 20, 4 << 20, false),
            (0, 8 << 20, false),
            (8 << 20, -1, true),
            (8 << 20, -2, false),
        ] {
            assert_eq!(check(&host(memory, swap)).is_ok(), good, "{memory} {swap}");
        }
    }

    #[test]
    fn as_much_swap_as_memory_when_only_memory_is_limited() {
        let both = |memory, memory_swap| {
            of_cgroup(&ResourceSettings { memory, memory_swap, ..ResourceSettings::default() }).memory_swap
        };
        assert_eq!([both(8, 0), both(8, 9), both(8, -1), both(0, 0)], [Some(16), Some(9), Some(-1), None]);
    }

    #[test]
    fn nano_cpus_become_quota_and_period() {
        let settings = ResourceSettings { nano_cpus: 1_500_000_000, ..ResourceSettings::default() };
        let resources = of_cgroup(&settings);
        assert_eq!((resources.cpu_period, resources.cpu_quota), (Some(100_000), Some(150_000)));
    }

    #[test]
    fn limits_of_processes() {
        let limit = |name, soft, hard| Some(Ulimit { name, soft, hard });
        let with = |limit| ResourceSettings { ulimits: Some(vec![limit]), ..ResourceSettings::default() };
        for bad in
            [limit(LimitName::OpenFiles, 2, 1), limit(LimitName::Core, -1, 5), limit(LimitName::Core, -2, -1)]
        {
            assert!(check_ulimits(&with(bad)).is_err(), "{bad:?}");
        }
        for good in [None, limit(LimitName::Core, -1, -1), limit(LimitName::OpenFiles, 1, 2)] {
            assert!(check_ulimits(&with(good)).is_ok(), "{good:?}");
        }
        let default = Ulimit { name: LimitName::Processes, soft: 7, hard: -1 };
        let limits = of_process(&with(None), &[default]);
        assert_eq!(limits, [ResourceLimit { name: "nproc".to_owned(), soft: 7, hard: u64::MAX }]);
    }
}
