//! Settings of later API versions that this engine does not support: refused with a clear message when set,
//! never ignored. Empty ones are accepted.

use serde_json::{Map, Value};

use crate::ApiError;
use crate::container_settings::ISOLATION;
use crate::json::field;
use crate::version::{ApiVersion, MAX};

/// Fields of `HostConfig`, and why they are not possible.
const OF_HOST: [(&str, &str); 8] = [
    ("Cgroup", "joining another container's cgroup is not possible"),
    ("CpuCount", "it is a setting of Windows; use NanoCpus or CpuQuota"),
    ("CpuPercent", "it is a setting of Windows; use NanoCpus or CpuQuota"),
    ("CpuRealtimePeriod", "real-time CPU time cannot be shared out"),
    ("CpuRealtimeRuntime", "real-time CPU time cannot be shared out"),
    ("IOMaximumBandwidth", "it is a setting of Windows; use BlkioDeviceReadBps and BlkioDeviceWriteBps"),
    ("IOMaximumIOps", "it is a setting of Windows; use BlkioDeviceReadIOps and BlkioDeviceWriteIOps"),
    ("KernelMemoryTCP", "the kernel has no such limit any more"),
];

/// Fields of an update's `Resources` that a container gets when it is made, once for all.
const OF_CREATE: [&str; 6] =
    ["CgroupParent", "DeviceCgroupRules", "DeviceRequests", "Devices", "Init", "Ulimits"];

/// Refuses unsupported settings in an update's body, or those that an update cannot change.
pub(crate) fn refuse_of_update(body: &Value) -> Result<(), ApiError> {
    let Some(fields) = body.as_object() else { return Ok(()) };
    if let Some(name) = OF_CREATE.iter().find(|name| is_said(fields, name)) {
        return Err(ApiError::invalid(format!("{name} cannot be updated: it holds from the create on")));
    }
    match OF_HOST.iter().find(|(name, _)| is_said(fields, name)) {
        Some((name, reason)) => Err(ApiError::invalid(format!("{name} is not supported: {reason}"))),
        None => Ok(()),
    }
}

fn is_said(fields: &Map<String, Value>, name: &str) -> bool {
    field(fields, name).is_some_and(|value| !is_blank(value))
}

/// Refuses unsupported settings in a create's body and its `HostConfig`.
pub(crate) fn refuse(body: &Map<String, Value>, host: &Value, version: ApiVersion) -> Result<(), ApiError> {
    if !version.create_takes_endpoints()
        && field(body, "NetworkingConfig").is_some_and(|value| !is_blank(value))
    {
        return Err(ApiError::invalid(format!(
            "NetworkingConfig is not supported by API {MAX}: use HostConfig.NetworkMode, Links and MacAddress"
        )));
    }
    refuse_of_host(host)
}

/// Refuses unsupported settings in a `HostConfig`.
pub(crate) fn refuse_of_host(host: &Value) -> Result<(), ApiError> {
    let Some(fields) = host.as_object() else { return Ok(()) };
    for (name, reason) in OF_HOST {
        if is_said(fields, name) {
            return Err(ApiError::invalid(format!("HostConfig.{name} is not supported: {reason}")));
        }
    }
    match field(fields, "Isolation").and_then(Value::as_str) {
        None | Some("" | ISOLATION) => Ok(()),
        Some(other) => Err(ApiError::invalid(format!(
            "HostConfig.Isolation is not supported: {other} is a setting of Windows"
        ))),
    }
}

/// Whether a value is empty, with all values in it.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_blank),
        Value::Object(fields) => fields.values().all(is_blank),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: Value) -> bool {
        let body = body.as_object().expect("an object");
        refuse(body, body.get("HostConfig").unwrap_or(&Value::Null), ApiVersion::minor(20)).is_err()
    }

    #[test]
    fn networks_may_be_named_but_not_configured() {
        for fine in [
            json!(null),
            json!({}),
            json!({"EndpointsConfig": {"default": {"IPAMConfig": null, "Links": [], "GwPriority": 0}}}),
        ] {
            assert!(!refused(json!({ "NetworkingConfig": fine })), "{fine}");
        }
        assert!(refused(json!({"NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["web"]}}}})));
    }

    #[test]
    fn what_says_nothing_is_fine() {
        for fine in [
            json!({"CpuPercent": null, "CpuCount": 0, "Isolation": ""}),
            json!({"Cgroup": "", "KernelMemoryTCP": 0, "Isolation": "default"}),
        ] {
            assert!(!refused(json!({ "HostConfig": fine })), "{fine}");
        }
        for bad in [json!({"cpucount": 2}), json!({"Isolation": "hyperv"})] {
            assert!(refused(json!({ "HostConfig": bad })), "{bad}");
        }
    }
}
