//! `HostConfig` as inspect shows it: the requested settings, the unset fields that a version shows, and the effective
//! values of some of them.

use engine::{Limits, Record};
use model::{MASKED_PATHS, READ_ONLY_PATHS, SHM_SIZE};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::container_settings::HostConfig;
use crate::version::ApiVersion;

/// The shown value of an unset field.
#[derive(Clone, Copy)]
enum Blank {
    Null,
    False,
    Zero,
    Text,
}

/// There is no version that has it no longer.
const NEVER: u32 = u32::MAX;

/// Fields that are shown though unset: from the version `1.since` up to, and without, `1.until`.
const BLANKS: [(&str, Blank, u32, u32); 29] = [
    ("MemoryReservation", Blank::Zero, 21, NEVER),
    ("KernelMemory", Blank::Zero, 21, 42),
    ("OomScoreAdj", Blank::Zero, 21, NEVER),
    ("VolumeDriver", Blank::Text, 21, NEVER),
    ("DnsOptions", Blank::Null, 21, NEVER),
    ("BlkioWeightDevice", Blank::Null, 22, NEVER),
    ("BlkioDeviceReadBps", Blank::Null, 22, NEVER),
    ("BlkioDeviceWriteBps", Blank::Null, 22, NEVER),
    ("BlkioDeviceReadIOps", Blank::Null, 22, NEVER),
    ("BlkioDeviceWriteIOps", Blank::Null, 22, NEVER),
    ("Isolation", Blank::Text, 22, NEVER),
    ("UsernsMode", Blank::Text, 23, NEVER),
    ("PidsLimit", Blank::Zero, 23, 40),
    ("PidsLimit", Blank::Null, 40, NEVER),
    ("Cgroup", Blank::Text, 24, NEVER),
    ("CpuPercent", Blank::Zero, 24, NEVER),
    ("IOMaximumBandwidth", Blank::Zero, 24, NEVER),
    ("IOMaximumIOps", Blank::Zero, 24, NEVER),
    ("AutoRemove", Blank::False, 25, NEVER),
    ("CpuCount", Blank::Zero, 25, NEVER),
    ("CpuRealtimePeriod", Blank::Zero, 25, NEVER),
    ("CpuRealtimeRuntime", Blank::Zero, 25, NEVER),
    ("NanoCpus", Blank::Zero, 25, NEVER),
    ("DeviceCgroupRules", Blank::Null, 28, NEVER),
    ("MaskedPaths", Blank::Null, 38, NEVER),
    ("ReadonlyPaths", Blank::Null, 38, NEVER),
    ("DeviceRequests", Blank::Null, 40, NEVER),
    ("KernelMemoryTCP", Blank::Zero, 40, 42),
    ("CgroupnsMode", Blank::Text, 41, NEVER),
];

/// An object as its type has it, or with other fields.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Shape<T> {
    /// As its type has it.
    Plain(T),
    /// With the fields of a version.
    Fields(Map<String, Value>),
}

impl<T: Serialize> Shape<T> {
    /// The object with its fields changed.
    pub(super) fn changed(object: &T, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        let mut fields = match serde_json::to_value(object) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        change(&mut fields);
        Self::Fields(fields)
    }
}

/// The requested settings, in the shape of a version.
pub(super) fn shaped(host: HostConfig, record: &Record, version: ApiVersion) -> Shape<HostConfig> {
    if !version.host_config_is_whole() {
        return Shape::Plain(host);
    }
    Shape::changed(&host, |fields| {
        if !version.host_config_has_lxc() {
            fields.remove("LxcConf");
        }
        if !version.containers_have_device_requests() {
            fields.remove("DeviceRequests");
        }
        if !version.containers_have_annotations() {
            fields.remove("Annotations");
        }
        if version.host_config_shows_what_holds() {
            put_what_holds(fields, record);
        }
        for (name, blank, since, until) in BLANKS {
            if version.is_within(since, until) && !fields.contains_key(name) {
                fields.insert(name.to_owned(), blank.value());
            }
        }
        if !version.host_config_has_hidden_paths() {
            fields.remove("MaskedPaths");
            fields.remove("ReadonlyPaths");
        }
        if !version.host_config_has_a_cgroup_namespace() {
            fields.remove("CgroupnsMode");
        }
    })
}

impl Blank {
    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::False => json!(false),
            Self::Zero => json!(0),
            Self::Text => json!(""),
        }
    }
}

/// Fills in effective values for unset fields.
fn put_what_holds(fields: &mut Map<String, Value>, record: &Record) {
    let cgroups = if Limits::of_host().unified { "private" } else { "host" };
    let mut put = |name: &str, value: Value| {
        let is_open = fields.get(name).is_none_or(|held| matches!(held, Value::Null) || *held == "");
        if is_open {
            fields.insert(name.to_owned(), value);
        }
    };
    put("ShmSize", json!(SHM_SIZE));
    put("IpcMode", json!("shareable"));
    put("CgroupnsMode", json!(cgroups));
    put("Runtime", json!(crate::container_settings::RUNTIME));
    put("PortBindings", json!({}));
    if !record.settings.host.privileged {
        put("MaskedPaths", json!(MASKED_PATHS));
        put("ReadonlyPaths", json!(READ_ONLY_PATHS));
    }
    if let Some(Value::Object(policy)) = fields.get_mut("RestartPolicy")
        && policy.get("Name").is_some_and(|name| *name == "")
    {
        policy.insert("Name".to_owned(), json!("no"));
    }
}
