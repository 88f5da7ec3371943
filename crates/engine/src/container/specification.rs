//! From a container's record to the specification that its shim runs.

use std::path::{Path, PathBuf};

use model::{
    BlockDeviceLimit, BlockLimitKind, ContainerSpec, Device, DeviceRule, HostConfig, Mount, MountSource,
    Namespace, Namespaces, ProcessSpec, Propagation, ResourceLimit, Resources, RootFilesystem, SeccompPolicy,
    StringOrList,
};

use crate::container::security::SecurityOptions;
use crate::container::{Record, capabilities, mounts, tmpfs};
use crate::error::Error;

/// The search path of containers whose image names none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes of /dev/shm when nothing else is asked for.
const DEFAULT_SHM_SIZE: u64 = 64 * 1024 * 1024;

/// What the engine looked up for a start.
pub(crate) struct Surroundings {
    /// The image's layers, topmost first.
    pub(crate) lower: Vec<PathBuf>,
    /// The container's own directory.
    pub(crate) directory: PathBuf,
    /// Joined or new namespaces.
    pub(crate) namespaces: Namespaces,
    /// Its name in the network: its own, or that of the container whose network it joins.
    pub(crate) hostname: String,
    /// The domain of that name.
    pub(crate) domainname: String,
    /// Name files to mount, as file on the host and path in the container.
    pub(crate) name_files: Vec<(PathBuf, &'static str)>,
    /// Variables that links give.
    pub(crate) link_environment: Vec<String>,
    /// Where output goes.
    pub(crate) log: model::LogSpec,
    /// Limits of containers that set none.
    pub(crate) default_limits: Vec<model::Ulimit>,
    /// The cgroup beneath which its own is made.
    pub(crate) cgroup_parent: Option<String>,
}

/// Builds the specification.
///
/// # Errors
/// Refused, in the reference's words, when a setting is not possible.
pub(crate) fn build(record: &Record, around: Surroundings) -> Result<ContainerSpec, Error> {
    let (config, host) = (&record.config, &record.host_config);
    let security = SecurityOptions::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let mounts = all_mounts(record, &around)?;
    let process = process(record, &around, &security)?;
    Ok(ContainerSpec {
        id: record.id.clone(),
        name: record.name.clone(),
        root: RootFilesystem::Overlay {
            lower: around.lower,
            upper: around.directory.join("upper"),
            work: around.directory.join("work"),
        },
        read_only_root: host.readonly_rootfs,
        hostname: around.hostname,
        domainname: around.domainname,
        namespaces: around.namespaces,
        mounts,
        devices: devices(host)?,
        device_rules: device_rules(host)?,
        privileged: host.privileged,
        shm_size: u64::try_from(host.shm_size).ok().filter(|size| *size > 0).unwrap_or(DEFAULT_SHM_SIZE),
        sysctls: host.sysctls.clone().unwrap_or_default(),
        resources: resources(host),
        cgroup_parent: Some(host.cgroup_parent.clone())
            .filter(|parent| !parent.is_empty())
            .or(around.cgroup_parent),
        seccomp: if host.privileged { SeccompPolicy::Unconfined } else { security.seccomp },
        apparmor_profile: security.apparmor,
        selinux_label: security.selinux_label,
        masked_paths: paths(host.masked_paths.as_ref(), security.unconfined_paths),
        read_only_paths: paths(host.readonly_paths.as_ref(), security.unconfined_paths),
        init: host.init.unwrap_or(false),
        process,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        log: around.log,
    })
}

/// A list of paths that the client sets; empty when nothing is to be confined.
fn paths(asked: Option<&Vec<String>>, unconfined: bool) -> Option<Vec<PathBuf>> {
    if unconfined { Some(Vec::new()) } else { asked.map(|paths| paths.iter().map(PathBuf::from).collect()) }
}

fn process(record: &Record, around: &Surroundings, security: &SecurityOptions) -> Result<ProcessSpec, Error> {
    let (config, host) = (&record.config, &record.host_config);
    let mut arguments = vec![record.path.clone()];
    arguments.extend(record.arguments.iter().cloned());
    let capabilities = if host.privileged { capabilities::all() } else { capability_names(host)? };
    let size = |index: usize| u16::try_from(host.console_size[index]).unwrap_or(0);
    Ok(ProcessSpec {
        arguments,
        environment: environment(record, &around.hostname, config.tty, &around.link_environment)?,
        working_directory: config.working_dir.clone(),
        user: config.user.clone(),
        additional_groups: host.group_add.clone().unwrap_or_default(),
        terminal: config.tty,
        terminal_size: (size(0), size(1)),
        capabilities,
        no_new_privileges: security.no_new_privileges,
        resource_limits: resource_limits(host, &around.default_limits)?,
        oom_score_adjustment: i32::try_from(host.oom_score_adj).ok().filter(|score| *score != 0),
    })
}

/// The capabilities of a container that is not privileged.
pub(crate) fn capability_names(host: &HostConfig) -> Result<Vec<String>, Error> {
    let list = |words: &Option<StringOrList>| words.clone().map(|words| words.0).unwrap_or_default();
    capabilities::resolve(&list(&host.cap_add), &list(&host.cap_drop))
}

/// The variables of a process: the engine's, links', then the container's own, which win.
pub(crate) fn environment(
    record: &Record,
    hostname: &str,
    terminal: bool,
    links: &[String],
) -> Result<Vec<String>, Error> {
    let mut variables = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        variables.push("TERM=xterm".to_owned());
    }
    variables.extend(links.iter().cloned());
    for variable in record.config.env.iter().flatten() {
        if variable.starts_with('=') || variable.is_empty() {
            return Err(Error::system("setenv: invalid argument"));
        }
        put_variable(&mut variables, variable);
    }
    Ok(variables)
}

/// Adds a variable, or replaces the one of that name; a name alone removes it.
pub(crate) fn put_variable(variables: &mut Vec<String>, variable: &str) {
    let (name, has_value) = match variable.split_once('=') {
        Some((name, _)) => (name, true),
        None => (variable, false),
    };
    let is_same = |known: &String| known.split('=').next() == Some(name);
    match variables.iter().position(is_same) {
        Some(place) if has_value => variable.clone_into(&mut variables[place]),
        Some(place) => drop(variables.remove(place)),
        None if has_value => variables.push(variable.to_owned()),
        None => {}
    }
}

fn all_mounts(record: &Record, around: &Surroundings) -> Result<Vec<Mount>, Error> {
    let bind = |source: &Path, destination: &str, read_only, propagation| Mount {
        source: MountSource::Bind(source.to_owned()),
        destination: mounts::clean(destination),
        read_only,
        propagation,
    };
    let mut all: Vec<Mount> = around
        .name_files
        .iter()
        .map(|(file, destination)| {
            bind(file, destination, record.host_config.readonly_rootfs, Propagation::RecursivePrivate)
        })
        .collect();
    for mount in &record.mounts {
        let propagation = mounts::propagation(&mount.mode);
        all.push(bind(Path::new(&mount.source), &mount.destination, !mount.rw, propagation));
    }
    all.extend(tmpfs::mounts(&record.host_config)?);
    all.sort_by_key(|mount| mount.destination.components().count());
    Ok(all)
}

fn devices(host: &HostConfig) -> Result<Vec<Device>, Error> {
    let mut devices = Vec::new();
    for mapping in host.devices.iter().flatten() {
        let gathering = |cause: &str| {
            let message = format!(
                "error gathering device information while adding custom device \"{}\": {cause}",
                mapping.path_on_host
            );
            if cause.contains("no such") { Error::not_found(message) } else { Error::refused(message) }
        };
        let path = PathBuf::from(&mapping.path_on_host);
        if std::fs::symlink_metadata(&path).is_err() {
            return Err(gathering(&format!("lstat {}: no such file or directory", mapping.path_on_host)));
        }
        let is_device = std::fs::metadata(&path).is_ok_and(|found| {
            use std::os::unix::fs::FileTypeExt;
            found.is_dir() || found.file_type().is_char_device() || found.file_type().is_block_device()
        });
        if !is_device {
            return Err(gathering("not a device node"));
        }
        let in_container = if mapping.path_in_container.is_empty() {
            &mapping.path_on_host
        } else {
            &mapping.path_in_container
        };
        let permissions =
            if mapping.cgroup_permissions.is_empty() { "rwm" } else { mapping.cgroup_permissions.as_str() };
        if !permissions.bytes().all(|letter| b"rwm".contains(&letter)) {
            return Err(gathering(&format!(
                "invalid permissions \"{permissions}\", only r, w and m are known"
            )));
        }
        devices.push(Device {
            path_on_host: path,
            path_in_container: mounts::clean(in_container),
            permissions: permissions.to_owned(),
        });
    }
    Ok(devices)
}

/// Parses `DeviceCgroupRules`: `c 1:3 rwm`, with `*` for any number.
fn device_rules(host: &HostConfig) -> Result<Vec<DeviceRule>, Error> {
    let parse = |text: &String| -> Option<DeviceRule> {
        let mut words = text.split_whitespace();
        let kind = words.next().filter(|kind| matches!(*kind, "a" | "b" | "c"))?.chars().next()?;
        let (major, minor) = words.next()?.split_once(':')?;
        let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
        let permissions = words.next()?.to_owned();
        let known = permissions.bytes().all(|letter| b"rwm".contains(&letter));
        (known && words.next().is_none()).then_some(())?;
        Some(DeviceRule { kind, major: number(major)?, minor: number(minor)?, permissions })
    };
    let complaint = |text: &String| Error::refused(format!("invalid device cgroup rule format: '{text}'"));
    host.device_cgroup_rules.iter().flatten().map(|text| parse(text).ok_or_else(|| complaint(text))).collect()
}

/// The limits of the container's cgroup.
pub(crate) fn resources(host: &HostConfig) -> Resources {
    let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let (period, quota) = if host.nano_cpus > 0 {
        (Some(100_000), Some(host.nano_cpus / 10_000))
    } else {
        (positive(host.cpu_period), Some(host.cpu_quota).filter(|quota| *quota != 0))
    };
    Resources {
        memory: positive(host.memory),
        memory_swap: Some(host.memory_swap).filter(|swap| *swap != 0),
        memory_reservation: positive(host.memory_reservation),
        kernel_memory: positive(host.kernel_memory),
        memory_swappiness: host.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        oom_kill_disable: host.oom_kill_disable,
        cpu_shares: positive(host.cpu_shares),
        cpu_period: period,
        cpu_quota: quota,
        cpuset_cpus: text(&host.cpuset_cpus),
        cpuset_mems: text(&host.cpuset_mems),
        blkio_weight: u16::try_from(host.blkio_weight).ok().filter(|weight| *weight != 0),
        block_device_limits: block_device_limits(host),
        pids_limit: host.pids_limit.and_then(positive),
    }
}

fn block_device_limits(host: &HostConfig) -> Vec<BlockDeviceLimit> {
    let lists = [
        (BlockLimitKind::Weight, &host.blkio_weight_device),
        (BlockLimitKind::ReadBytes, &host.blkio_device_read_bps),
        (BlockLimitKind::WriteBytes, &host.blkio_device_write_bps),
        (BlockLimitKind::ReadOperations, &host.blkio_device_read_iops),
        (BlockLimitKind::WriteOperations, &host.blkio_device_write_iops),
    ];
    let limit = |kind, device: &model::BlkioDevice| {
        let value = if kind == BlockLimitKind::Weight { device.weight } else { device.rate };
        BlockDeviceLimit { kind, path: PathBuf::from(&device.path), value: u64::try_from(value).unwrap_or(0) }
    };
    lists
        .into_iter()
        .flat_map(|(kind, list)| list.iter().flatten().map(move |device| limit(kind, device)))
        .collect()
}

/// Names that setrlimit(2) knows.
const LIMIT_NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn resource_limits(host: &HostConfig, defaults: &[model::Ulimit]) -> Result<Vec<ResourceLimit>, Error> {
    let own = || host.ulimits.iter().flatten();
    let inherited = defaults.iter().filter(|limit| !own().any(|own| own.name == limit.name));
    own()
        .chain(inherited)
        .map(|limit| {
            if !LIMIT_NAMES.contains(&limit.name.as_str()) {
                return Err(Error::refused(format!("invalid ulimit name {}", limit.name)));
            }
            let value = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
            Ok(ResourceLimit { name: limit.name.clone(), soft: value(limit.soft), hard: value(limit.hard) })
        })
        .collect()
}

/// The namespaces of a container that joins no other container.
pub(crate) fn own_namespaces(record: &Record) -> Namespaces {
    let choose = |mode: &str| if mode == "host" { Namespace::Host } else { Namespace::Own };
    let host = &record.host_config;
    Namespaces {
        network: choose(&host.network_mode),
        pid: choose(&host.pid_mode),
        ipc: choose(&host.ipc_mode),
        uts: choose(&host.uts_mode),
        own_cgroup: host.cgroupns_mode == "private",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_variables_replace_earlier_ones() {
        let mut variables = vec!["A=1".to_owned(), "B=2".to_owned()];
        for variable in ["A=3", "C=4", "B", "D"] {
            put_variable(&mut variables, variable);
        }
        assert_eq!(variables, ["A=3", "C=4"]);
    }

    #[test]
    fn nano_cpus_become_quota_and_period() {
        let host = HostConfig { nano_cpus: 1_500_000_000, ..HostConfig::default() };
        let resources = resources(&host);
        assert_eq!((resources.cpu_period, resources.cpu_quota), (Some(100_000), Some(150_000)));
    }

    #[test]
    fn device_rules_parse() {
        let host = |rule: &str| HostConfig {
            device_cgroup_rules: Some(vec![rule.to_owned()]),
            ..HostConfig::default()
        };
        assert_eq!(device_rules(&host("c 1:* rw")).expect("a rule")[0].minor, None);
        for bad in ["", "x 1:1 r", "c 1 r", "c 1:1 q", "c 1:1 r more"] {
            assert!(device_rules(&host(bad)).is_err(), "{bad}");
        }
    }
}
