//! Results of plugins (section 5 of the specification), as far as they are parsed.

use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use crate::version::Version;

/// Parses a plugin's output as its result; the error describes the fault.
pub(crate) fn read_result(written: &[u8]) -> Result<Value, String> {
    let result: Value = serde_json::from_slice(written).map_err(|error| error.to_string())?;
    if !result.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    let version = &result["cniVersion"];
    let is_known = version.is_null() || Version::ALL.iter().any(|known| version == known.name());
    if is_known { Ok(result) } else { Err(format!("it is of version {version}, which is not spoken")) }
}

/// A result that names the pod's namespace as it is called now: plugins compare it with `CNI_NETNS`, and each daemon has
/// another path for it.
pub(crate) fn in_namespace(result: &Value, namespace: &Path) -> Value {
    let mut result = result.clone();
    for interface in result.get_mut("interfaces").and_then(Value::as_array_mut).into_iter().flatten() {
        // An interface without a sandbox is the host's.
        if let Some(Value::String(sandbox)) = interface.get_mut("sandbox")
            && !sandbox.is_empty()
        {
            *sandbox = namespace.display().to_string();
        }
    }
    result
}

/// The pod's addresses: those of its interface, or those that name none.
pub(crate) fn addresses(result: &Value) -> Vec<IpAddr> {
    let interfaces = result["interfaces"].as_array().map(Vec::as_slice).unwrap_or_default();
    // An interface without a sandbox is the host's.
    let is_in_pod = |index: &Value| {
        let interface = index.as_u64().and_then(|index| interfaces.get(usize::try_from(index).ok()?));
        interface.is_none_or(|interface| interface["sandbox"].as_str().is_some_and(|path| !path.is_empty()))
    };
    let ips = result["ips"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = ips.iter().filter(|ip| is_in_pod(&ip["interface"]));
    own.filter_map(|ip| ip["address"].as_str()?.split('/').next()?.parse().ok()).collect()
}

/// A failed plugin's report: its message and its details, or its output.
pub(crate) fn failure(stdout: &[u8], stderr: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if let Ok(report) = serde_json::from_slice::<Value>(stdout)
        && let Some(message) = report["msg"].as_str()
    {
        let details = report["details"].as_str().filter(|details| !details.is_empty());
        return details.map_or_else(|| message.to_owned(), |details| format!("{message}: {details}"));
    }
    let written = [text(stdout), text(stderr)];
    written.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| "it reports nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_are_those_of_the_pod() {
        let result = json!({
            "interfaces": [{ "name": "br" }, { "name": "eth0", "sandbox": "/proc/1/fd/2" }],
            "ips": [
                { "address": "10.1.0.1/24", "interface": 0 },
                { "address": "10.1.0.2/24", "interface": 1 },
                { "address": "fd00::2/64" },
                { "address": "nothing" },
            ],
        });
        let own: Vec<_> = addresses(&result).iter().map(ToString::to_string).collect();
        assert_eq!(own, ["10.1.0.2", "fd00::2"]);
        assert!(addresses(&json!({})).is_empty());
    }

    #[test]
    fn a_result_is_an_object_of_a_known_version() {
        for good in [r#"{"cniVersion": "1.1.0", "ips": []}"#, r#"{"cniVersion": "0.3.1"}"#, "{}"] {
            assert!(read_result(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "rubbish", "42", "null", "[]", r#"{"cniVersion": "7.0.0"}"#, r#"{"cniVersion": 1}"#] {
            assert!(read_result(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pods_interfaces_are_in_its_present_namespace() {
        let interfaces = |path: &str| json!([{ "name": "br" }, { "name": "v", "sandbox": "" }, { "name": "eth0", "sandbox": path }]);
        let result = json!({ "interfaces": interfaces("/proc/1/fd/2"), "ips": [] });
        let present = in_namespace(&result, Path::new("/proc/7/fd/9"));
        assert_eq!(present, json!({ "interfaces": interfaces("/proc/7/fd/9"), "ips": [] }));
        assert_eq!(in_namespace(&json!({}), Path::new("/")), json!({}));
    }

    #[test]
    fn failures_are_told_in_the_plugins_words() {
        let report = json!({ "code": 11, "msg": "no address", "details": "all are taken" }).to_string();
        assert_eq!(failure(report.as_bytes(), b""), "no address: all are taken");
        assert_eq!(failure(b"", b"segmentation\n"), "segmentation");
        assert_eq!(failure(b"", b""), "it reports nothing");
    }
}
