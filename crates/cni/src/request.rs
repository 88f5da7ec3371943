//! A plugin's input: its configuration with the runtime's additions (section 3, "deriving request configuration").

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::attachment::Attachment;
use crate::network::Network;

/// The commands of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    Delete,
    Check,
    Status,
    CollectGarbage,
}

impl Command {
    /// The value of `CNI_COMMAND`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Delete => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::CollectGarbage => "GC",
        }
    }

    /// How long a plugin may take. Kubelets wait four minutes for a pod, and two for a status.
    pub(crate) const fn time_limit(self) -> Duration {
        match self {
            Self::Add | Self::Delete => Duration::from_secs(180),
            Self::Check | Self::Status | Self::CollectGarbage => Duration::from_secs(60),
        }
    }
}

/// A plugin's configuration for a command on a whole network.
pub(crate) fn of_network(network: &Network, plugin: &Map<String, Value>) -> Map<String, Value> {
    let mut request = plugin.clone();
    request.retain(|key, _| !key.starts_with("cni.dev/"));
    request.insert("cniVersion".to_owned(), json!(network.version));
    request.insert("name".to_owned(), json!(network.name));
    request
}

/// A plugin's configuration for a command on an attachment.
pub(crate) fn of_attachment(
    attachment: &Attachment,
    plugin: &Map<String, Value>,
    previous: Option<&Value>,
) -> Map<String, Value> {
    let mut request = of_network(&attachment.network, plugin);
    let declared = request.remove("capabilities");
    let has = |capability: &str| declared.as_ref().and_then(|all| all[capability].as_bool()) == Some(true);
    let given = attachment.capabilities.iter().filter(|(capability, _)| has(capability));
    let given: Map<String, Value> =
        given.map(|(capability, value)| (capability.clone(), value.clone())).collect();
    if !given.is_empty() {
        request.insert("runtimeConfig".to_owned(), Value::Object(given));
    }
    if let Some(previous) = previous {
        request.insert("prevResult".to_owned(), previous.clone());
    }
    request
}

/// The variables of a command on an attachment.
pub(crate) fn variables(attachment: &Attachment, namespace: Option<&Path>) -> Vec<(&'static str, String)> {
    let arguments = attachment.arguments.iter().map(|(name, value)| format!("{name}={value}"));
    vec![
        ("CNI_CONTAINERID", attachment.container.clone()),
        ("CNI_NETNS", namespace.map(|path| path.display().to_string()).unwrap_or_default()),
        ("CNI_IFNAME", attachment.interface.clone()),
        ("CNI_ARGS", arguments.collect::<Vec<_>>().join(";")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    #[test]
    fn a_plugin_gets_what_it_declares_and_nothing_else() {
        let plugin = json!({
            "type": "portmap",
            "own": [1],
            "name": "of the plugin",
            "cni.dev/note": 1,
            "capabilities": { "portMappings": true, "dns": true, "mac": true, "bandwidth": false },
        });
        let Value::Object(plugin) = plugin else { unreachable!() };
        let network = Network {
            name: "net".to_owned(),
            version: Version::V1_0_0,
            allows_check: true,
            allows_garbage_collection: true,
            plugins: vec![plugin.clone()],
        };
        let Value::Object(capabilities) = json!({ "portMappings": [1], "bandwidth": {}, "dns": {} }) else {
            unreachable!()
        };
        let arguments = [("IgnoreUnknown", "1"), ("K8S_POD_NAME", "pod")];
        let arguments = arguments.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let attachment = Attachment::new("id", network, arguments, capabilities);
        let request = of_attachment(&attachment, &plugin, Some(&json!({ "ips": [] })));
        let expected = json!({
            "type": "portmap", "own": [1], "name": "net", "cniVersion": "1.0.0",
            "runtimeConfig": { "portMappings": [1], "dns": {} },
            "prevResult": { "ips": [] },
        });
        assert_eq!(Value::Object(request), expected);
        let variables = variables(&attachment, None);
        assert!(
            variables.contains(&("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=pod".to_owned())),
            "{variables:?}"
        );
        assert!(variables.contains(&("CNI_NETNS", String::new())), "{variables:?}");
    }
}
