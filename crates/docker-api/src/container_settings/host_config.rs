//! `HostConfig`: what of the host a container gets, as the API takes and shows it.

use std::collections::BTreeMap;

use engine::images::document::StringOrList;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::absent::{is_false, is_zero, null_default};
use super::mount_options::{BindOptions, ImageOptions, TmpfsOptions, VolumeOptions, Written};

/// `HostConfig` of the specification, with the newer fields that current clients send.
///
/// Fields that API v1.20 does not have are left out of its JSON while they are unset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostConfig {
    pub(crate) binds: Option<Vec<String>>,
    #[serde(rename = "ContainerIDFile", deserialize_with = "null_default")]
    pub(crate) container_id_file: String,
    pub(crate) lxc_conf: Option<LxcConf>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) memory: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) memory_swap: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub(crate) memory_reservation: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub(crate) kernel_memory: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cpu_shares: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cpu_period: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cpuset_cpus: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cpuset_mems: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cpu_quota: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub(crate) nano_cpus: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) blkio_weight: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) oom_kill_disable: bool,
    pub(crate) memory_swappiness: Option<i64>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) privileged: bool,
    pub(crate) port_bindings: Option<PortMap>,
    pub(crate) links: Option<Vec<String>>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) publish_all_ports: bool,
    pub(crate) dns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns_options: Option<Vec<String>>,
    pub(crate) dns_search: Option<Vec<String>>,
    pub(crate) extra_hosts: Option<Vec<String>>,
    pub(crate) volumes_from: Option<Vec<String>>,
    pub(crate) devices: Option<Vec<DeviceMapping>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_requests: Option<Vec<DriverRequest>>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) network_mode: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) ipc_mode: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) pid_mode: String,
    #[serde(rename = "UTSMode", deserialize_with = "null_default")]
    pub(crate) uts_mode: String,
    pub(crate) cap_add: Option<StringOrList>,
    pub(crate) cap_drop: Option<StringOrList>,
    pub(crate) group_add: Option<Vec<String>>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) restart_policy: RestartPolicy,
    pub(crate) security_opt: Option<Vec<String>>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) readonly_rootfs: bool,
    pub(crate) ulimits: Option<Vec<Ulimit>>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) log_config: LogConfig,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cgroup_parent: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) console_size: [u32; 2],
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub(crate) auto_remove: bool,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) volume_driver: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) userns_mode: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) cgroupns_mode: String,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub(crate) oom_score_adj: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pids_limit: Option<i64>,
    /// Bytes of `/dev/shm`; 0 means 64 MiB.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    pub(crate) shm_size: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tmpfs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sysctls: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mounts: Option<Vec<MountSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) init: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_opt: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_cgroup_rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blkio_weight_device: Option<Vec<BlkioDevice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blkio_device_read_bps: Option<Vec<BlkioDevice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blkio_device_write_bps: Option<Vec<BlkioDevice>>,
    #[serde(rename = "BlkioDeviceReadIOps", skip_serializing_if = "Option::is_none")]
    pub(crate) blkio_device_read_iops: Option<Vec<BlkioDevice>>,
    #[serde(rename = "BlkioDeviceWriteIOps", skip_serializing_if = "Option::is_none")]
    pub(crate) blkio_device_write_iops: Option<Vec<BlkioDevice>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) masked_paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) readonly_paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) runtime: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) isolation: String,
}

/// The name of the one runtime there is.
pub(crate) const RUNTIME: &str = "berth";

/// The accepted names of the runtime: clients that copy a container's settings, and files of Compose, name the runtime
/// that Docker's engines have, and mean the default one.
pub(crate) const RUNTIMES: [&str; 3] = [RUNTIME, "runc", "io.containerd.runc.v2"];

/// The name of the one isolation there is on Linux.
pub(crate) const ISOLATION: &str = "default";

/// A limit or weight of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct BlkioDevice {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) rate: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) weight: i64,
}

/// Ports of the container (`80/tcp`) and where on the host each is published.
pub(crate) type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// One place on the host where a port is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PortBinding {
    #[serde(deserialize_with = "null_default")]
    pub(crate) host_ip: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) host_port: String,
}

/// Devices that a driver chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DriverRequest {
    #[serde(deserialize_with = "null_default")]
    pub(crate) driver: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) count: i64,
    #[serde(rename = "DeviceIDs")]
    pub(crate) device_ids: Option<Vec<String>>,
    pub(crate) capabilities: Option<Vec<Vec<String>>>,
    pub(crate) options: Option<BTreeMap<String, String>>,
}

/// A host's device shown in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DeviceMapping {
    #[serde(deserialize_with = "null_default")]
    pub(crate) path_on_host: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) path_in_container: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) cgroup_permissions: String,
}

/// When the engine starts a container again by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RestartPolicy {
    #[serde(deserialize_with = "null_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) maximum_retry_count: i64,
}

/// Where a container's output goes, and the driver's options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LogConfig {
    #[serde(rename = "Type", deserialize_with = "null_default")]
    pub(crate) driver: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) config: BTreeMap<String, String>,
}

/// A resource limit of the container's processes, as setrlimit(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Ulimit {
    #[serde(deserialize_with = "null_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) hard: i64,
    #[serde(deserialize_with = "null_default")]
    pub(crate) soft: i64,
}

/// One key and its value, as `LxcConf` lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct KeyValuePair {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `LxcConf`: a list of pairs, or a map, as old clients send it. Always shown as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LxcConf(pub(crate) Vec<KeyValuePair>);

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

/// A mount as newer clients request it (`HostConfig.Mounts`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct MountSpec {
    /// `bind`, `volume`, `tmpfs` or `image`.
    #[serde(rename = "Type", deserialize_with = "null_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) target: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) read_only: bool,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub(crate) consistency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bind_options: Option<Written<BindOptions>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volume_options: Option<Written<VolumeOptions>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tmpfs_options: Option<Written<TmpfsOptions>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_options: Option<Written<ImageOptions>>,
}
