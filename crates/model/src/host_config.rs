//! A container's `HostConfig`: what of the host it gets, as the API takes and shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::StringOrList;
use crate::config::{is_false, is_zero, null_default};

/// `HostConfig` of the specification, with the newer fields that today's clients send.
///
/// Fields that API v1.20 does not know are left out of its JSON while they are unset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct HostConfig {
    pub binds: Option<Vec<String>>,
    #[serde(rename = "ContainerIDFile", deserialize_with = "null_default")]
    pub container_id_file: String,
    pub lxc_conf: Option<LxcConf>,
    #[serde(deserialize_with = "null_default")]
    pub memory: i64,
    #[serde(deserialize_with = "null_default")]
    pub memory_swap: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub memory_reservation: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub kernel_memory: i64,
    #[serde(deserialize_with = "null_default")]
    pub cpu_shares: i64,
    #[serde(deserialize_with = "null_default")]
    pub cpu_period: i64,
    #[serde(deserialize_with = "null_default")]
    pub cpuset_cpus: String,
    #[serde(deserialize_with = "null_default")]
    pub cpuset_mems: String,
    #[serde(deserialize_with = "null_default")]
    pub cpu_quota: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub nano_cpus: i64,
    #[serde(deserialize_with = "null_default")]
    pub blkio_weight: i64,
    #[serde(deserialize_with = "null_default")]
    pub oom_kill_disable: bool,
    pub memory_swappiness: Option<i64>,
    #[serde(deserialize_with = "null_default")]
    pub privileged: bool,
    pub port_bindings: Option<PortMap>,
    pub links: Option<Vec<String>>,
    #[serde(deserialize_with = "null_default")]
    pub publish_all_ports: bool,
    pub dns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_options: Option<Vec<String>>,
    pub dns_search: Option<Vec<String>>,
    pub extra_hosts: Option<Vec<String>>,
    pub volumes_from: Option<Vec<String>>,
    pub devices: Option<Vec<DeviceMapping>>,
    #[serde(deserialize_with = "null_default")]
    pub network_mode: String,
    #[serde(deserialize_with = "null_default")]
    pub ipc_mode: String,
    #[serde(deserialize_with = "null_default")]
    pub pid_mode: String,
    #[serde(rename = "UTSMode", deserialize_with = "null_default")]
    pub uts_mode: String,
    pub cap_add: Option<StringOrList>,
    pub cap_drop: Option<StringOrList>,
    pub group_add: Option<Vec<String>>,
    #[serde(deserialize_with = "null_default")]
    pub restart_policy: RestartPolicy,
    pub security_opt: Option<Vec<String>>,
    #[serde(deserialize_with = "null_default")]
    pub readonly_rootfs: bool,
    pub ulimits: Option<Vec<Ulimit>>,
    #[serde(deserialize_with = "null_default")]
    pub log_config: LogConfig,
    #[serde(deserialize_with = "null_default")]
    pub cgroup_parent: String,
    #[serde(deserialize_with = "null_default")]
    pub console_size: [u32; 2],
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub auto_remove: bool,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub volume_driver: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub userns_mode: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub cgroupns_mode: String,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub oom_score_adj: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<i64>,
    /// Bytes of `/dev/shm`; 0 means 64 MiB.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub shm_size: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysctls: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<MountSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_opt: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_cgroup_rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_weight_device: Option<Vec<BlkioDevice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_device_read_bps: Option<Vec<BlkioDevice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_device_write_bps: Option<Vec<BlkioDevice>>,
    #[serde(rename = "BlkioDeviceReadIOps", skip_serializing_if = "Option::is_none")]
    pub blkio_device_read_iops: Option<Vec<BlkioDevice>>,
    #[serde(rename = "BlkioDeviceWriteIOps", skip_serializing_if = "Option::is_none")]
    pub blkio_device_write_iops: Option<Vec<BlkioDevice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked_paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readonly_paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub runtime: String,
}

/// A limit or weight of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct BlkioDevice {
    pub path: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub rate: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub weight: i64,
}

/// Ports of the container (`80/tcp`) and where on the host each is published.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// One place on the host where a port is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct PortBinding {
    #[serde(deserialize_with = "null_default")]
    pub host_ip: String,
    #[serde(deserialize_with = "null_default")]
    pub host_port: String,
}

/// A host's device shown in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct DeviceMapping {
    #[serde(deserialize_with = "null_default")]
    pub path_on_host: String,
    #[serde(deserialize_with = "null_default")]
    pub path_in_container: String,
    #[serde(deserialize_with = "null_default")]
    pub cgroup_permissions: String,
}

/// When the engine starts a container again by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct RestartPolicy {
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub maximum_retry_count: i64,
}

/// Where a container's output goes, and the driver's options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct LogConfig {
    #[serde(rename = "Type", deserialize_with = "null_default")]
    pub driver: String,
    #[serde(deserialize_with = "null_default")]
    pub config: BTreeMap<String, String>,
}

/// A resource limit of the container's processes, as setrlimit(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct Ulimit {
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub hard: i64,
    #[serde(deserialize_with = "null_default")]
    pub soft: i64,
}

/// One key and its value, as `LxcConf` lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct KeyValuePair {
    pub key: String,
    pub value: String,
}

/// `LxcConf`: a list of pairs, or a map, as old clients send it. Always shown as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LxcConf(pub Vec<KeyValuePair>);

impl Serialize for LxcConf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LxcConf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            List(Vec<KeyValuePair>),
            Map(BTreeMap<String, String>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::List(pairs) => pairs,
            Form::Map(map) => map.into_iter().map(|(key, value)| KeyValuePair { key, value }).collect(),
        }))
    }
}

/// A mount as newer clients ask for it (`HostConfig.Mounts`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct MountSpec {
    /// `bind`, `volume` or `tmpfs`.
    #[serde(rename = "Type", deserialize_with = "null_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_default")]
    pub source: String,
    #[serde(deserialize_with = "null_default")]
    pub target: String,
    #[serde(deserialize_with = "null_default")]
    pub read_only: bool,
    #[serde(deserialize_with = "null_default")]
    pub consistency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<serde_json::Value>,
}

/// One entry of inspect's `Mounts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct MountPoint {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub source: String,
    pub destination: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    pub mode: String,
    #[serde(rename = "RW")]
    pub rw: bool,
}

/// A parsed `Binds` entry: `source:destination[:mode]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// An absolute host path, or a volume's name.
    pub source: String,
    /// An absolute path in the container.
    pub destination: String,
    /// The mode as given: `ro`, `rw`, `z`, `rslave`… joined by commas; empty when not given.
    pub mode: String,
}
