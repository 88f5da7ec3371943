//! The limits of a container in the words of cgroup v1 and v2.

use model::{BlockDeviceLimit, BlockLimitKind, CpuSet, Resources};

use super::{Cgroup, file};
use crate::CgroupError;

/// One file and what is written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    controller: &'static str,
    file: &'static str,
    value: String,
    /// For hosts where BFQ is the only scheduler with weights: their file there, and their value on its
    /// scale.
    of_bfq: Option<(&'static str, String)>,
}

/// A limit of a block device with its device numbers.
#[derive(Debug, Clone, Copy)]
struct BlockLimit {
    kind: BlockLimitKind,
    device: (u32, u32),
    value: u64,
}

/// Controllers as v1 has them; on v2 `blkio` is `io`.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "cpuset", "blkio", "pids"];

impl Cgroup {
    /// Sets the limits that are given and leaves the others.
    pub(super) fn set_limits(&self, resources: &Resources) -> Result<(), CgroupError> {
        if *resources == Resources::default() {
            return Ok(());
        }
        // A device that is gone has no limit to be lifted.
        let block =
            resources.block_device_limits.iter().filter(|limit| limit.value != 0 || limit.path.exists());
        let block = block.map(resolve).collect::<Result<Vec<_>, _>>()?;
        for controller in CONTROLLERS {
            let (version, directory) = match self.legacy(controller) {
                Some(directory) => (Version::One, Some(directory)),
                None => (Version::Two, self.unified()),
            };
            let settings = version.settings(resources, &block);
            let mut settings: Vec<_> =
                settings.into_iter().filter(|setting| setting.controller == controller).collect();
            let Some(directory) = directory else {
                match settings.first() {
                    Some(setting) => return Err(missing(setting)),
                    None => continue,
                }
            };
            if version == Version::One && controller == "memory" {
                order_memory(directory, &mut settings);
            }
            settings.iter().try_for_each(|setting| write(directory, setting))?;
        }
        self.limit_huge_pages(resources)?;
        self.set_files(&resources.unified)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn settings(self, resources: &Resources, block: &[BlockLimit]) -> Vec<Setting> {
        let mut settings = match self {
            Self::One => version_one(resources),
            Self::Two => version_two(resources),
        };
        settings.extend(block.iter().map(|limit| match self {
            Self::One => block_one(limit),
            Self::Two => block_two(limit),
        }));
        settings
    }
}

fn missing(setting: &Setting) -> CgroupError {
    let source = std::io::Error::from(std::io::ErrorKind::Unsupported);
    CgroupError::new(format!("limiting by the cgroup controller {}", setting.controller), source)
}

/// The numbers of a limited device.
fn resolve(limit: &BlockDeviceLimit) -> Result<BlockLimit, CgroupError> {
    let status = rustix::fs::stat(limit.path.as_path())
        .map_err(|source| CgroupError::new(format!("stat {}", limit.path.display()), source))?;
    if rustix::fs::FileType::from_raw_mode(status.st_mode) != rustix::fs::FileType::BlockDevice {
        let source = rustix::io::Errno::NOTBLK;
        return Err(CgroupError::new(format!("limiting {}", limit.path.display()), source));
    }
    let device = (rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev));
    Ok(BlockLimit { kind: limit.kind, device, value: limit.value })
}

fn text(set: Option<&CpuSet>) -> Option<String> {
    set.map(CpuSet::to_string)
}

fn version_one(resources: &Resources) -> Vec<Setting> {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let signed = |value: Option<i64>| value.map(|value| value.to_string());
    let mut settings = collect([
        ("memory", "memory.limit_in_bytes", number(resources.memory)),
        ("memory", "memory.memsw.limit_in_bytes", signed(resources.memory_swap)),
        ("memory", "memory.soft_limit_in_bytes", number(resources.memory_reservation)),
        ("memory", "memory.kmem.limit_in_bytes", number(resources.kernel_memory)),
        ("memory", "memory.swappiness", number(resources.memory_swappiness)),
        ("memory", "memory.oom_control", resources.oom_kill_disable.then(|| "1".to_owned())),
        ("cpu", "cpu.shares", number(resources.cpu_shares)),
        ("cpu", "cpu.cfs_period_us", number(resources.cpu_period)),
        ("cpu", "cpu.cfs_quota_us", signed(resources.cpu_quota)),
        ("cpuset", "cpuset.cpus", text(resources.cpuset_cpus.as_ref())),
        ("cpuset", "cpuset.mems", text(resources.cpuset_mems.as_ref())),
        ("pids", "pids.max", resources.pids_limit.map(or_max)),
    ]);
    settings.extend(resources.blkio_weight.map(|weight| Setting {
        controller: "blkio",
        file: "blkio.weight",
        value: weight.to_string(),
        of_bfq: Some(("blkio.bfq.weight", weight.to_string())),
    }));
    settings
}

fn version_two(resources: &Resources) -> Vec<Setting> {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let mut settings = collect([
        ("memory", "memory.max", number(resources.memory)),
        ("memory", "memory.swap.max", resources.swap_limit().map(or_max)),
        ("memory", "memory.low", number(resources.memory_reservation)),
        ("cpu", "cpu.weight", number(resources.cpu_weight())),
        ("cpu", "cpu.max", quota_and_period(resources)),
        ("cpuset", "cpuset.cpus", text(resources.cpuset_cpus.as_ref())),
        ("cpuset", "cpuset.mems", text(resources.cpuset_mems.as_ref())),
        ("pids", "pids.max", resources.pids_limit.map(or_max)),
    ]);
    settings.extend(resources.blkio_weight.map(|weight| Setting {
        controller: "blkio",
        file: "io.weight",
        value: io_weight(u64::from(weight)).to_string(),
        of_bfq: Some(("io.bfq.weight", weight.to_string())),
    }));
    settings
}

fn collect<const N: usize>(parts: [(&'static str, &'static str, Option<String>); N]) -> Vec<Setting> {
    let with_value = |(controller, file, value): (_, _, Option<String>)| {
        value.map(|value| Setting { controller, file, value, of_bfq: None })
    };
    parts.into_iter().filter_map(with_value).collect()
}

/// A limit in the words of the kernel.
fn or_max(limit: u64) -> String {
    if limit == u64::MAX { "max".to_owned() } else { limit.to_string() }
}

fn quota_and_period(resources: &Resources) -> Option<String> {
    if resources.cpu_quota.is_none() && resources.cpu_period.is_none() {
        return None;
    }
    let quota = match resources.cpu_quota {
        Some(quota) if quota > 0 => quota.to_string(),
        _ => "max".to_owned(),
    };
    Some(format!("{quota} {}", resources.cpu_period.unwrap_or(100_000)))
}

/// Maps 10…1000 to 1…10000.
const fn io_weight(weight: u64) -> u64 {
    let weight = if weight < 10 { 10 } else { weight };
    1 + (weight - 10) * 9999 / 990
}

fn block_one(limit: &BlockLimit) -> Setting {
    let file = match limit.kind {
        BlockLimitKind::ReadBytes => "blkio.throttle.read_bps_device",
        BlockLimitKind::WriteBytes => "blkio.throttle.write_bps_device",
        BlockLimitKind::ReadOperations => "blkio.throttle.read_iops_device",
        BlockLimitKind::WriteOperations => "blkio.throttle.write_iops_device",
        BlockLimitKind::Weight => "blkio.weight_device",
    };
    let (major, minor) = limit.device;
    let value = format!("{major}:{minor} {}", limit.value);
    let of_bfq = (limit.kind == BlockLimitKind::Weight).then(|| ("blkio.bfq.weight_device", value.clone()));
    Setting { controller: "blkio", file, value, of_bfq }
}

fn block_two(limit: &BlockLimit) -> Setting {
    let (major, minor) = limit.device;
    // 0 lifts a limit, as it does in version 1.
    let throttle = |key: &str| match limit.value {
        0 => format!("{major}:{minor} {key}=max"),
        value => format!("{major}:{minor} {key}={value}"),
    };
    let weight = |value: u64| match limit.value {
        0 => format!("{major}:{minor} default"),
        _ => format!("{major}:{minor} {value}"),
    };
    let (file, value) = match limit.kind {
        BlockLimitKind::ReadBytes => ("io.max", throttle("rbps")),
        BlockLimitKind::WriteBytes => ("io.max", throttle("wbps")),
        BlockLimitKind::ReadOperations => ("io.max", throttle("riops")),
        BlockLimitKind::WriteOperations => ("io.max", throttle("wiops")),
        BlockLimitKind::Weight => ("io.weight", weight(io_weight(limit.value))),
    };
    let of_bfq = (limit.kind == BlockLimitKind::Weight).then(|| ("io.bfq.weight", weight(limit.value)));
    Setting { controller: "blkio", file, value, of_bfq }
}

/// The limit of both together may never be below that of memory: when memory grows beyond it, it
/// has to grow first.
fn order_memory(directory: &std::path::Path, settings: &mut [Setting]) {
    let value = |settings: &[Setting], file: &str| {
        let setting = settings.iter().position(|setting| setting.file == file)?;
        Some((setting, settings[setting].value.clone()))
    };
    let Some((memory_at, memory)) = value(settings, "memory.limit_in_bytes") else { return };
    let Some((both_at, _)) = value(settings, "memory.memsw.limit_in_bytes") else { return };
    let Ok(present) = file::read(directory, "memory.memsw.limit_in_bytes") else { return };
    let (Ok(memory), Ok(present)) = (memory.parse::<u64>(), present.trim().parse::<u64>()) else { return };
    if memory > present {
        settings.swap(memory_at, both_at);
    }
}

/// Settings that a kernel may lack though no client requested them: swap is limited beside memory by default,
/// and kernel memory has no limit of its own any more since Linux 5.16.
const DISPENSABLE: [&str; 3] =
    ["memory.memsw.limit_in_bytes", "memory.swap.max", "memory.kmem.limit_in_bytes"];

/// Writes a setting; weights have another name where BFQ is the only scheduler with weights.
fn write(directory: &std::path::Path, setting: &Setting) -> Result<(), CgroupError> {
    let of_bfq = setting
        .of_bfq
        .as_ref()
        .filter(|(name, _)| !directory.join(setting.file).exists() && directory.join(name).exists());
    let (name, value) = of_bfq.map_or((setting.file, &setting.value), |(name, value)| (*name, value));
    match file::write(directory, name, value) {
        Err(error) if DISPENSABLE.contains(&name) && is_lacking(&error.source) => Ok(()),
        other => other,
    }
}

fn is_lacking(error: &std::io::Error) -> bool {
    let unsupported = [rustix::io::Errno::NOENT, rustix::io::Errno::OPNOTSUPP];
    unsupported.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(version: Version, resources: &Resources) -> Vec<String> {
        let device = BlockLimit { kind: BlockLimitKind::ReadBytes, device: (8, 16), value: 1024 };
        let settings = version.settings(resources, &[device]);
        settings.into_iter().map(|setting| format!("{}={}", setting.file, setting.value)).collect()
    }

    #[test]
    fn both_versions_say_the_same() {
        let resources = Resources {
            memory: Some(64 << 20),
            memory_swap: Some(96 << 20),
            cpu_shares: Some(1024),
            cpu_quota: Some(50_000),
            cpuset_cpus: "0".parse().ok(),
            blkio_weight: Some(500),
            pids_limit: Some(10),
            ..Resources::default()
        };
        assert_eq!(
            lines(Version::One, &resources),
            [
                "memory.limit_in_bytes=67108864",
                "memory.memsw.limit_in_bytes=100663296",
                "cpu.shares=1024",
                "cpu.cfs_quota_us=50000",
                "cpuset.cpus=0",
                "pids.max=10",
                "blkio.weight=500",
                "blkio.throttle.read_bps_device=8:16 1024",
            ]
        );
        assert_eq!(
            lines(Version::Two, &resources),
            [
                "memory.max=67108864",
                "memory.swap.max=33554432",
                "cpu.weight=39",
                "cpu.max=50000 100000",
                "cpuset.cpus=0",
                "pids.max=10",
                "io.weight=4950",
                "io.max=8:16 rbps=1024",
            ]
        );
    }

    #[test]
    fn conversions_keep_their_ends() {
        assert_eq!([io_weight(10), io_weight(1000)], [1, 10_000]);
        let unlimited = Resources { memory_swap: Some(-1), cpu_quota: Some(-1), ..Resources::default() };
        assert_eq!(lines(Version::Two, &unlimited)[..2], ["memory.swap.max=max", "cpu.max=max 100000"]);
    }
}
