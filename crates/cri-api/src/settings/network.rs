//! A pod's parameters for the plugins of its network: its identity, its ports, its bandwidth, its names.

use engine::PodNetwork;
use serde_json::{Map, Value, json};
use tonic::Status;

use crate::status::invalid;
use crate::wire::sandbox::{DNSConfig, PodSandboxConfig, PortMapping};

/// The annotations that limit a pod's bandwidth, in bits per second.
const INGRESS: &str = "kubernetes.io/ingress-bandwidth";
const EGRESS: &str = "kubernetes.io/egress-bandwidth";
/// How much may be sent at once: as much as plugins take.
const BURST: u64 = i32::MAX as u64;

/// A pod's parameters for plugins.
pub(crate) fn of_pod(config: &PodSandboxConfig) -> Result<PodNetwork, Status> {
    let metadata = config.metadata.clone().unwrap_or_default();
    let arguments = [
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", &metadata.namespace),
        ("K8S_POD_NAME", &metadata.name),
        ("K8S_POD_UID", &metadata.uid),
    ];
    let mut capabilities = Map::new();
    let mut give = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            capabilities.insert(name.to_owned(), value);
        }
    };
    give("portMappings", ports(&config.port_mappings));
    give("bandwidth", bandwidth(config)?);
    give("dns", config.dns_config.as_ref().map(dns));
    let parent = config.linux.as_ref().map(|linux| linux.cgroup_parent.clone());
    give("cgroupPath", parent.filter(|parent| !parent.is_empty()).map(Value::String));
    give("io.kubernetes.cri.pod-annotations", Some(json!(config.annotations)));
    let arguments = arguments.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Ok(PodNetwork { arguments, capabilities })
}

/// The ports of the host; those without a port there are only informative.
fn ports(mappings: &[PortMapping]) -> Option<Value> {
    let protocol =
        |number: i32| ["tcp", "udp", "sctp"].get(usize::try_from(number).unwrap_or_default()).copied();
    let published = mappings.iter().filter(|mapping| mapping.host_port > 0);
    let published = published.map(|mapping| {
        json!({
            "hostPort": mapping.host_port,
            "containerPort": mapping.container_port,
            "protocol": protocol(mapping.protocol).unwrap_or("tcp"),
            "hostIP": mapping.host_ip,
        })
    });
    let published: Vec<Value> = published.collect();
    (!published.is_empty()).then_some(Value::Array(published))
}

fn dns(dns: &DNSConfig) -> Value {
    json!({ "servers": dns.servers, "searches": dns.searches, "options": dns.options })
}

fn bandwidth(config: &PodSandboxConfig) -> Result<Option<Value>, Status> {
    let mut limits = Map::new();
    for (annotation, direction) in [(INGRESS, "ingress"), (EGRESS, "egress")] {
        let Some(text) = config.annotations.get(annotation) else { continue };
        let rate = quantity(text)
            .ok_or_else(|| invalid(format!("the annotation {annotation} is no number of bits: {text:?}")))?;
        limits.insert(format!("{direction}Rate"), json!(rate));
        limits.insert(format!("{direction}Burst"), json!(BURST));
    }
    Ok((!limits.is_empty()).then_some(Value::Object(limits)))
}

/// Reads a whole quantity as Kubernetes writes it: `10M`, `512Ki`.
fn quantity(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let factor: u64 = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sandbox::PodSandboxMetadata;

    #[test]
    fn plugins_learn_who_a_pod_is_and_what_it_asks_for() {
        let metadata = PodSandboxMetadata {
            name: "web".to_owned(),
            uid: "u".to_owned(),
            namespace: "shop".to_owned(),
            attempt: 0,
        };
        let port = |host_port, protocol| PortMapping {
            container_port: 80,
            host_port,
            protocol,
            host_ip: "10.0.0.1".to_owned(),
        };
        let config = PodSandboxConfig {
            metadata: Some(metadata),
            port_mappings: vec![port(8080, 1), port(0, 0)],
            annotations: [(INGRESS.to_owned(), "10M".to_owned())].into(),
            dns_config: Some(DNSConfig { servers: vec!["10.0.0.53".to_owned()], ..DNSConfig::default() }),
            ..PodSandboxConfig::default()
        };
        let given = of_pod(&config).expect("what it gives");
        assert_eq!(given.arguments[2], ("K8S_POD_NAME".to_owned(), "web".to_owned()));
        let expected = json!({
            "portMappings": [{ "hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": "10.0.0.1" }],
            "bandwidth": { "ingressRate": 10_000_000, "ingressBurst": 2_147_483_647 },
            "dns": { "servers": ["10.0.0.53"], "searches": [], "options": [] },
            "io.kubernetes.cri.pod-annotations": { "kubernetes.io/ingress-bandwidth": "10M" },
        });
        assert_eq!(Value::Object(given.capabilities), expected);
    }

    #[test]
    fn quantities_are_whole_numbers_with_their_suffixes() {
        assert_eq!(["7", "2k", "1Mi"].map(quantity), [Some(7), Some(2000), Some(1 << 20)]);
        assert_eq!(["", "M", "1.5M", "-1", "99999999999999999999", "9999999999T"].map(quantity), [None; 6]);
    }
}
