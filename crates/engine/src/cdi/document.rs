//! A specification file, JSON or YAML, with the fields that berth supports; any other field is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Specification {
    pub(super) cdi_version: String,
    /// `vendor.com/class`
    pub(super) kind: String,
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) devices: Vec<DeviceDocument>,
    /// The edits for every device of the file.
    #[serde(default)]
    pub(super) container_edits: EditsDocument,
}

/// One device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceDocument {
    pub(super) name: String,
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) container_edits: EditsDocument,
}

/// The changes to a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct EditsDocument {
    pub(super) env: Vec<String>,
    pub(super) device_nodes: Vec<NodeDocument>,
    pub(super) mounts: Vec<MountDocument>,
    pub(super) additional_gids: Vec<u32>,
    /// Programs of the host that run at points of a container's life. They are refused.
    pub(super) hooks: Vec<HookDocument>,
    /// Shares of the processors' caches and memory bandwidth. They are refused.
    pub(super) intel_rdt: Option<serde_json::Value>,
    /// Interfaces of the host. They are refused.
    pub(super) net_devices: Vec<serde_json::Value>,
}

/// A device node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NodeDocument {
    /// In the container.
    pub(super) path: String,
    /// On the host; the same path where it is empty.
    #[serde(default)]
    pub(super) host_path: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    pub(super) major: Option<i64>,
    pub(super) minor: Option<i64>,
    pub(super) file_mode: Option<u32>,
    #[serde(default)]
    pub(super) permissions: String,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MountDocument {
    pub(super) host_path: String,
    pub(super) container_path: String,
    #[serde(default)]
    pub(super) options: Vec<String>,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// A hook; the refusal names it and its program.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HookDocument {
    pub(super) hook_name: String,
    pub(super) path: String,
}

impl Specification {
    /// Parses a file by the end of its name.
    pub(super) fn parse(bytes: &[u8], is_json: bool) -> Result<Self, String> {
        let parsed: Self = match is_json {
            true => serde_json::from_slice(bytes).map_err(|error| error.to_string())?,
            false => serde_yaml_ng::from_slice(bytes).map_err(|error| error.to_string())?,
        };
        if !matches!(parsed.cdi_version.split('.').next(), Some("0" | "1")) {
            return Err(format!("version {} of CDI is not known", parsed.cdi_version));
        }
        if !is_kind(&parsed.kind) {
            return Err(format!("invalid kind {:?}: VENDOR/CLASS is needed", parsed.kind));
        }
        match parsed.devices.iter().find(|device| !is_name(&device.name)) {
            Some(device) => Err(format!("invalid device name {:?}", device.name)),
            None => Ok(parsed),
        }
    }
}

/// Whether a text is `vendor/class=name`.
pub(super) fn is_full_name(text: &str) -> bool {
    text.split_once('=').is_some_and(|(kind, name)| is_kind(kind) && is_name(name))
}

fn is_kind(kind: &str) -> bool {
    let is_part = |part: &str, more: &[u8]| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_alphabetic)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || more.contains(byte))
    };
    kind.split_once('/').is_some_and(|(vendor, class)| is_part(vendor, b"_-.") && is_part(class, b"_-"))
}

fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte))
}
