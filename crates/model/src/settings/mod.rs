//! A container's requested settings: parsed once, where the request comes in.
//!
//! Every text that is a choice is an enum here, with one usual spelling (`FromStr` and `Display`) that the
//! API, the daemon's flags and the database share. Where clients may spell a choice differently and see
//! their own spelling again, the field is [`Spelled`].

mod cgroup_parent;
mod clean_path;
mod cpu_set;
mod device_permissions;
mod device_requests;
mod error;
mod hardware_address;
mod health_check;
mod host;
mod log;
mod mount_point;
mod mounts;
mod name_server;
mod names;
mod namespaces;
mod network;
mod network_definition;
mod ports;
mod privileges;
#[cfg(test)]
mod properties;
mod resources;
mod restart;
mod spelled;
mod stop_signal;
mod volume_driver;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use cgroup_parent::CgroupParent;
pub use clean_path::clean;
pub use cpu_set::{CpuSet, CpuSetError};
pub use device_permissions::DevicePermissions;
pub use device_requests::{DeviceCapability, DeviceDriver, DriverDeviceRequest};
pub use error::SettingError;
pub use hardware_address::HardwareAddress;
pub use health_check::{HealthCheck, HealthCheckError, HealthTest};
pub use host::{HostSettings, MASKED_PATHS, READ_ONLY_PATHS, SHM_SIZE, ShownHostSettings};
pub use log::{LOG_DRIVERS, LogConfig, LogDriver, LogDriverRow, LogServer, LogSource};
pub use mount_point::{MountOrigin, MountPoint, MountedVolume};
pub use mounts::{
    Access, Bind, BindSource, Consistency, MountKind, MountMode, MountRequest, Relabel, VolumesFrom,
    check_volume_name,
};
pub use name_server::NameServer;
pub use names::{ExtraAddress, ExtraHost, LinkRequest};
pub use namespaces::{CgroupNamespaceMode, IpcMode, PidMode, UserNamespaceMode, UtsMode};
pub use network::{AddressRequest, Attachment, ContainerReference, NetworkMode, NetworkReference};
pub use network_definition::{Cidr, CidrError, NetworkDefinition, NetworkDriver, Pool, UnknownDriver};
pub use ports::{
    BoundPort, ExposedPorts, HostAddress, HostPort, Port, PortBinding, PortBindings, PortError, Protocol,
};
pub use privileges::{Capability, CapabilityChoice, DeviceRequest, LabelOption, SecurityOption};
pub use resources::{BlockDeviceSetting, LimitName, ResourceSettings, Ulimit};
pub use restart::{RestartPolicy, WrittenRestartPolicy};
pub use spelled::Spelled;
pub use stop_signal::StopSignal;
pub use volume_driver::{VolumeDriverChoice, VolumeDriverKind};

/// All requested settings of a container. A list that is `None` was not given; the image fills in what was
/// left open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSettings {
    /// The image, as it was named.
    pub image: String,
    /// The host name; empty is the start of the container's id.
    pub hostname: String,
    /// The NIS domain name.
    pub domainname: String,
    /// `user`, `uid`, `user:group`…, looked up in the container's own files; empty is root.
    pub user: String,
    /// The words before the command.
    pub entrypoint: Option<Vec<String>>,
    /// The program and its arguments.
    pub command: Option<Vec<String>>,
    /// `NAME=value`, or a name alone that removes a variable.
    pub environment: Option<Vec<String>>,
    /// Where the program starts; empty is `/`.
    pub working_directory: String,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Places at which anonymous volumes are mounted.
    pub volumes: Option<BTreeSet<String>>,
    /// The driver of volumes that name none.
    pub volume_driver: VolumeDriverChoice,
    /// Ports that the program listens on.
    pub exposed_ports: Option<BTreeSet<Spelled<ExposedPorts>>>,
    /// Whether the container is in no network, whatever its mode.
    pub network_disabled: bool,
    /// The hardware address of its first interface.
    pub mac_address: Spelled<HardwareAddress>,
    /// Whether its stdio is one terminal.
    pub terminal: bool,
    /// Whether clients can write to its stdin.
    pub open_stdin: bool,
    /// Whether its stdin closes when the first attached client leaves.
    pub stdin_once: bool,
    /// The signal that requests its end; SIGTERM when `None`.
    pub stop_signal: Option<Spelled<StopSignal>>,
    /// Seconds of grace when it is stopped; below 0 without end.
    pub stop_timeout: Option<i64>,
    /// How its health is checked.
    pub health_check: Option<HealthCheck>,
    /// The shell of commands that are one text.
    pub shell: Option<Vec<String>>,
    /// Instructions for builds upon an image that is made of it.
    pub on_build: Option<Vec<String>>,
    /// Settings that are shown again and have no effect.
    pub shown: ShownSettings,
    /// The settings of the host for it.
    pub host: HostSettings,
}

impl ContainerSettings {
    /// Whether there is a mount that a driver given for the whole container may be for: a bind, which may name a volume, or an
    /// anonymous volume.
    #[must_use]
    pub fn may_need_a_volume_driver(&self) -> bool {
        let has_binds = self.host.binds.as_ref().is_some_and(|binds| !binds.is_empty());
        has_binds || self.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty())
    }
}

/// Settings that clients wrote and inspect shows, though they have no effect: only the code that shows them
/// reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownSettings {
    /// Whether the client attaches to stdin.
    pub attach_stdin: bool,
    /// Whether the client attaches to stdout.
    pub attach_stdout: bool,
    /// Whether the client attaches to stderr.
    pub attach_stderr: bool,
}
