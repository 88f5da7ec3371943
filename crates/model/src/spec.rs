//! The runtime's input: a container's complete, checked specification.
//!
//! The engine resolves everything that needs its state (images, volumes, other containers,
//! addresses) and writes this as JSON for the shim; the runtime needs nothing else.

mod device;
mod id_mapping;
mod mount;
mod resources;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CgroupParent, ContainerId, DevicePermissions, LogDriver, Signal};
pub use device::{Device, DeviceNumbers};
pub use id_mapping::{IdMapping, IdRange, id_map_lines};
pub use mount::*;
pub use resources::{BlockDeviceLimit, BlockLimitKind, Resources};

/// One container, ready to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The container's id; also the name of its cgroup.
    pub id: ContainerId,
    /// The name shown to logs and events, without a slash.
    pub name: String,
    /// Where its root file system comes from.
    pub root: RootFilesystem,
    /// Whether the root is mounted read-only.
    pub read_only_root: bool,
    /// Its own name in the uts namespace; unused with the host's.
    pub hostname: String,
    /// Its own NIS domain name (`Domainname`); unused with the host's.
    pub domainname: String,
    /// Which namespaces are new and which are joined.
    pub namespaces: Namespaces,
    /// The mapping of its user namespace; `None` for the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_namespace: Option<IdMapping>,
    /// Binds, volumes, tmpfs and resolver files, in the order in which they are mounted.
    pub mounts: Vec<Mount>,
    /// Host devices in addition to the default ones.
    pub devices: Vec<Device>,
    /// Rules of access for devices beyond those shown, as `HostConfig.DeviceCgroupRules`.
    pub device_rules: Vec<DeviceRule>,
    /// All of the host's devices, no masked paths, writable /sys and cgroups.
    pub privileged: bool,
    /// Bytes of /dev/shm; 0 mounts none.
    pub shm_size: u64,
    /// Kernel settings of the container's namespaces, `net.core.somaxconn` → `1024`.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of its cgroup.
    pub resources: Resources,
    /// The cgroup beneath which its own is made; `None` is the engine's default (`/berth`).
    pub cgroup_parent: Option<CgroupParent>,
    /// Whether the cgroups above its own belong to others, as those of pods are the kubelet's, and stay when it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_cgroup_parents: bool,
    /// The name of its own cgroup where systemd keeps it (`….scope`); `None` is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The seccomp filter of all its processes.
    pub seccomp: SeccompPolicy,
    /// The requested profile and label, where the host has the module.
    pub apparmor_profile: Option<String>,
    /// The requested SELinux process label, where the host has the module.
    pub selinux_label: Option<String>,
    /// Paths hidden from the container; `None` is the default list.
    pub masked_paths: Option<Vec<PathBuf>>,
    /// Paths made read-only; `None` is the default list.
    pub read_only_paths: Option<Vec<PathBuf>>,
    /// Whether the runtime's own small init is PID 1 and reaps (`HostConfig.Init`).
    pub init: bool,
    /// Its first process.
    pub process: ProcessSpec,
    /// Whether its stdin is a pipe that clients can write to.
    pub open_stdin: bool,
    /// Whether its stdin closes when the first attached client leaves.
    pub stdin_once: bool,
    /// Where its output goes.
    pub log: LogSpec,
    /// How its health is checked. Written only where it is: containers without a check are most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSpec>,
}

/// How the health of a container is checked, with nothing left open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSpec {
    /// The program and its arguments; all else is that of the container's first process.
    pub arguments: Vec<String>,
    /// From the start, and from the end of a probe, to the next.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// How long failures do not count after the start.
    pub start_period: Duration,
    /// The interval within that time, until a probe succeeds.
    pub start_interval: Duration,
    /// How many failures one after the other count.
    pub retries: u32,
}

/// Where the root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootFilesystem {
    /// An overlay mounted only inside the container's own mount namespace.
    Overlay {
        /// The image's layers, topmost first; absolute paths.
        lower: Vec<PathBuf>,
        /// The container's own writable layer.
        upper: PathBuf,
        /// Overlay's work directory, on the same file system as `upper`.
        work: PathBuf,
        /// Whether neither fsync(2) in the container nor its end wait for the disk: users of the files must sync them.
        #[serde(default)]
        volatile: bool,
    },
    /// A plain directory, used as it is.
    Directory(PathBuf),
}

/// The namespaces of a container. Its mount namespace is always its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Network.
    pub network: Namespace,
    /// Processes.
    pub pid: Namespace,
    /// System V IPC and message queues; /dev/shm and /dev/mqueue follow it.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Whether the cgroup namespace is its own (a v2 host's default).
    pub own_cgroup: bool,
}

/// Where one namespace comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// A new one.
    Own,
    /// The host's.
    Host,
    /// That of another container's init.
    Process(ProcessReference),
}

/// A process that is identified by more than its number, which may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReference {
    /// Its number on the host.
    pub pid: u32,
    /// Field 22 of /proc/pid/stat: clock ticks after boot at which it started.
    pub start_time: u64,
}

/// One rule of the devices cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Which kind of devices.
    pub kind: DeviceRuleKind,
    /// Major number; `None` is any.
    pub major: Option<u32>,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
    /// What is allowed.
    pub permissions: DevicePermissions,
}

/// The devices of a rule of the devices cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceRuleKind {
    /// All.
    #[serde(rename = "a")]
    All,
    /// Block devices.
    #[serde(rename = "b")]
    Block,
    /// Character devices.
    #[serde(rename = "c")]
    Character,
}

impl DeviceRuleKind {
    /// Its letter.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::All => 'a',
            Self::Block => 'b',
            Self::Character => 'c',
        }
    }

    /// The kind of this letter, which is the whole text.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "a" => Some(Self::All),
            "b" => Some(Self::Block),
            "c" => Some(Self::Character),
            _ => None,
        }
    }
}

/// The seccomp filter of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeccompPolicy {
    /// The default profile, adapted to the capabilities.
    Default,
    /// No filter.
    Unconfined,
    /// A profile in Docker's JSON form.
    Profile(String),
}

/// A process in a container: its init, or an exec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The program and its arguments; the program is looked up in `PATH` of `environment`. Empty for a container's
    /// first process that is the runtime's own: it reaps and waits until it receives the end request.
    pub arguments: Vec<String>,
    /// `NAME=value`, complete (PATH, HOME, HOSTNAME and TERM are the engine's business, but
    /// HOME is added by the runtime from the user's entry when it is missing).
    pub environment: Vec<String>,
    /// An absolute path in the container; empty is `/`. Made when missing (init only).
    pub working_directory: String,
    /// `user`, `uid`, `user:group`…, looked up in the container's own files; empty is root.
    pub user: String,
    /// Further groups, by name or number.
    pub additional_groups: Vec<String>,
    /// Which groups it gets of the container's own files.
    #[serde(default, skip_serializing_if = "GroupsOfUser::is_default")]
    pub groups_of_user: GroupsOfUser,
    /// Whether stdio is one terminal.
    pub terminal: bool,
    /// The terminal's first size, rows and columns; zero is unset.
    pub terminal_size: (u16, u16),
    /// Names of the capabilities it gets, `CAP_CHOWN`; already resolved from CapAdd and CapDrop.
    pub capabilities: Vec<String>,
    /// Whether execve can never give more rights.
    pub no_new_privileges: bool,
    /// Resource limits.
    pub resource_limits: Vec<ResourceLimit>,
    /// oom_score_adj.
    pub oom_score_adjustment: Option<i32>,
}

/// Which groups a user gets in which the container's own files name it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupsOfUser {
    /// All of them, unless a group is requested by name or number.
    #[default]
    WithoutGroup,
    /// All of them.
    All,
    /// None.
    None,
}

impl GroupsOfUser {
    /// Whether this is the default.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::WithoutGroup)
    }
}

/// A resource limit, setrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// `nofile`, `core`, `nproc`…
    pub name: String,
    /// The soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// The hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

/// Where the output of a container goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// The driver; the engine has checked that it is there.
    pub driver: LogDriver,
    /// The driver's options; checked by the engine, and with addresses in the places of servers' names.
    pub options: BTreeMap<String, String>,
    /// The file of the json-file driver; rotated files append `.1`, `.2`….
    pub path: PathBuf,
    /// In which form lines are written to it.
    #[serde(default, skip_serializing_if = "LogForm::is_json")]
    pub form: LogForm,
    /// The container's attributes for remote drivers: `image_name`, `image_id`, `command`, `created`, `tag`.
    pub attributes: BTreeMap<String, String>,
    /// The labels and variables that the options `labels` and `env` select.
    pub selected: BTreeMap<String, String>,
}

/// In which form lines are written to a log's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogForm {
    /// A JSON object a line; the shim rotates the file.
    #[default]
    Json,
    /// Time, stream, tag and text a line, as the kubelet reads it; the kubelet rotates the file.
    Kubernetes,
}

impl LogForm {
    /// Whether it is the form of the json-file driver.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        matches!(self, Self::Json)
    }
}

/// The container's interface, as it is set up inside its network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceConfig {
    /// The link's name inside, `eth0`.
    pub name: String,
    /// Its configuration of IPv4.
    #[serde(flatten)]
    pub ipv4: Option<InterfaceAddressConfig>,
    /// Whether it has addresses of IPv6, which it has before init configures it; else IPv6 is disabled on it.
    #[serde(default)]
    pub has_ipv6: bool,
}

/// An interface's address of IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAddressConfig {
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix_length: u8,
    /// The default route's next hop.
    pub gateway: Option<Ipv4Addr>,
}

/// How a container's first process ended, or why it never began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0 to 255; 128 + n after signal n.
    pub code: i32,
    /// The signal that ended it, if one did.
    pub signal: Option<Signal>,
    /// Whether the kernel killed a process of the container for memory.
    pub out_of_memory: bool,
    /// When.
    pub finished_at: crate::Timestamp,
}
