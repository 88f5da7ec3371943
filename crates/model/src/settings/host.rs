//! A container's settings of its host. A start by old clients replaces all of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Bind, CapabilityChoice, CgroupNamespaceMode, CgroupParent, DeviceRequest, DriverDeviceRequest, ExtraHost,
    IpcMode, LinkRequest, LogConfig, MountRequest, NameServer, NetworkMode, PidMode, PortBindings,
    ResourceSettings, SecurityOption, Spelled, UserNamespaceMode, UtsMode, VolumeDriverChoice, VolumesFrom,
    WrittenRestartPolicy,
};
use crate::GroupsOfUser;

/// The paths that are hidden from containers by default: `MaskedPaths` of the API's specification.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// The paths that are read-only for such containers: `ReadonlyPaths` of the API's specification.
pub const READ_ONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The default number of bytes of /dev/shm.
pub const SHM_SIZE: u64 = 64 << 20;

/// A container's settings of its host. A list that is `None` was not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSettings {
    /// Directories of the host and volumes that are mounted.
    pub binds: Option<Vec<Spelled<Bind>>>,
    /// Mounts with separate fields.
    pub mounts: Option<Vec<MountRequest>>,
    /// Whether what is mounted beneath read-only binds stays writable: so for clients before 1.44.
    pub writable_submounts: bool,
    /// Containers whose mounts are taken over.
    pub volumes_from: Option<Vec<Spelled<VolumesFrom>>>,
    /// The driver of volumes that name none.
    pub volume_driver: VolumeDriverChoice,
    /// File systems in memory by their places, with mount options as tmpfs(5) has them.
    pub tmpfs: Option<BTreeMap<String, String>>,
    /// Bytes of /dev/shm; 0 is the default.
    pub shm_size: i64,
    /// Whether the root is mounted read-only.
    pub read_only_root: bool,
    /// Paths hidden from the container; `None` is the default list.
    pub masked_paths: Option<Vec<String>>,
    /// Paths made read-only; `None` is the default list.
    pub read_only_paths: Option<Vec<String>>,
    /// Limits of what it takes of the machine.
    pub resources: ResourceSettings,
    /// How readily the kernel ends its processes for memory, -1000 to 1000.
    pub oom_score_adjustment: i64,
    /// The cgroup beneath which its own is made; `None` is the daemon's choice.
    #[serde(deserialize_with = "Spelled::unless_empty")]
    pub cgroup_parent: Option<Spelled<CgroupParent>>,
    /// All of the host's devices and capabilities.
    pub privileged: bool,
    /// Capabilities in addition to the default ones.
    pub add_capabilities: Option<Vec<Spelled<CapabilityChoice>>>,
    /// Default capabilities that are removed.
    pub drop_capabilities: Option<Vec<Spelled<CapabilityChoice>>>,
    /// Options of Seccomp, AppArmor, SELinux and the like.
    pub security_options: Option<Vec<Spelled<SecurityOption>>>,
    /// Further groups of its processes, by name or number.
    pub additional_groups: Option<Vec<String>>,
    /// Which groups its user gets of its own files.
    pub groups_of_user: GroupsOfUser,
    /// Devices of the host.
    pub devices: Option<Vec<DeviceRequest>>,
    /// Devices that drivers choose.
    pub device_requests: Option<Vec<DriverDeviceRequest>>,
    /// Where its network comes from.
    pub network_mode: NetworkMode,
    /// Where its ports are published.
    pub port_bindings: Option<PortBindings>,
    /// Whether exposed ports without a binding are published too.
    pub publish_all_ports: bool,
    /// Containers that it can reach by an alias.
    pub links: Option<Vec<Spelled<LinkRequest>>>,
    /// DNS servers.
    pub dns: Option<Vec<Spelled<NameServer>>>,
    /// Options of resolv.conf(5).
    pub dns_options: Option<Vec<String>>,
    /// DNS search domains.
    pub dns_search: Option<Vec<String>>,
    /// Further lines of its hosts file.
    pub extra_hosts: Option<Vec<Spelled<ExtraHost>>>,
    /// Which processes it sees.
    pub pid_mode: PidMode,
    /// The container's IPC namespace.
    pub ipc_mode: IpcMode,
    /// The container's UTS namespace.
    pub uts_mode: UtsMode,
    /// Its user namespace.
    pub user_namespace_mode: UserNamespaceMode,
    /// Which cgroups it sees.
    pub cgroup_namespace_mode: CgroupNamespaceMode,
    /// Kernel settings of its namespaces.
    pub sysctls: Option<BTreeMap<String, String>>,
    /// When the engine starts it again.
    pub restart_policy: WrittenRestartPolicy,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// The client's own annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Where its output goes.
    pub log: LogConfig,
    /// Whether the runtime's own init is its first process.
    pub init: Option<bool>,
    /// Rows and columns of its first terminal; 0 is unset.
    pub console_size: [u32; 2],
    /// Limits of its own layer (`StorageOpt`); never empty.
    pub storage_options: Option<BTreeMap<String, String>>,
    /// Settings that are shown again and have no effect.
    pub shown: ShownHostSettings,
}

/// Settings that clients wrote and inspect shows, though they have no effect: only the code that shows them
/// reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownHostSettings {
    /// The network mode, where another network was given in its place.
    pub network_mode: Option<String>,
    /// Where the client writes the container's id.
    pub container_id_file: String,
    /// Whether an empty list of settings of LXC was given.
    pub empty_lxc_conf: bool,
    /// Whether an empty set of storage options was given.
    pub empty_storage_options: bool,
    /// Whether the one runtime there is was given by a name.
    pub runtime_by_name: bool,
    /// That name, where it is not the runtime's own.
    pub other_runtime_name: Option<String>,
    /// Whether the one isolation there is was given by its name.
    pub isolation_by_name: bool,
}
