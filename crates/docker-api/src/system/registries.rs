//! `RegistryConfig` of `/info`: which registries are trusted how.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::settings::DaemonSettings;
use crate::version::{ApiVersion, Ranged};

/// Never verified: the loopback.
const LOOPBACK: &str = "127.0.0.0/8";
const LOOPBACK_V6: &str = "::1/128";
const HUB: &str = "docker.io";

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RegistryConfig {
    #[serde(rename = "AllowNondistributableArtifactsCIDRs", skip_serializing_if = "Ranged::is_absent")]
    pushed_networks: Ranged<24, 49, ()>,
    #[serde(rename = "AllowNondistributableArtifactsHostnames", skip_serializing_if = "Ranged::is_absent")]
    pushed_hosts: Ranged<24, 49, ()>,
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_networks: Vec<String>,
    index_configs: BTreeMap<String, IndexConfig>,
    /// `null` for none where empty lists are.
    mirrors: Option<Vec<String>>,
}

/// One of `IndexConfigs`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IndexConfig {
    name: String,
    mirrors: Option<Vec<String>>,
    secure: bool,
    official: bool,
}

impl RegistryConfig {
    pub(super) fn of(settings: &DaemonSettings, version: ApiVersion) -> Self {
        let is_shown = !settings.mirrors.is_empty() || version.info_has_empty_lists();
        let mirrors = is_shown.then(|| settings.mirrors.clone());
        let hub =
            IndexConfig { name: HUB.to_owned(), mirrors: mirrors.clone(), secure: true, official: true };
        let mut index_configs = BTreeMap::from([(HUB.to_owned(), hub)]);
        let (mut insecure_networks, hosts): (Vec<String>, Vec<String>) =
            settings.insecure.iter().cloned().partition(|registry| registry.contains('/'));
        for name in hosts {
            let index =
                IndexConfig { name: name.clone(), mirrors: Some(Vec::new()), secure: false, official: false };
            index_configs.insert(name, index);
        }
        insecure_networks.push(LOOPBACK.to_owned());
        if version.info_names_the_loopback_of_ipv6() {
            insecure_networks.push(LOOPBACK_V6.to_owned());
        }
        Self {
            pushed_networks: Ranged::at(version, || ()),
            pushed_hosts: Ranged::at(version, || ()),
            insecure_networks,
            index_configs,
            mirrors,
        }
    }
}
