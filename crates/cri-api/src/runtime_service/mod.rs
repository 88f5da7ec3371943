//! `RuntimeService`: pods, their containers, and the runtime's status.

mod being_run;
mod command;
mod containers;
mod events;
mod metrics;
mod pod_statistics;
mod sandboxes;
mod statistics;
mod status_of_container;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Engine;

use crate::wire::runtime::{
    CgroupDriver, LinuxRuntimeConfiguration, RuntimeCondition, RuntimeConfigRequest, RuntimeConfigResponse,
    RuntimeFeatures, RuntimeHandler, RuntimeHandlerFeatures, RuntimeStatus, StatusRequest, StatusResponse,
    UpdateRuntimeConfigRequest, UpdateRuntimeConfigResponse, VersionRequest, VersionResponse,
};

/// The version of the kubelet's side of the interface; kubelets refuse others.
const KUBELET_INTERFACE: &str = "0.1.0";
/// The runtime's name.
const NAME: &str = "berth";
/// The version of the interface.
const INTERFACE: &str = "v1";

/// Pods, their containers, and the runtime itself.
pub(crate) struct RuntimeService {
    engine: Arc<Engine>,
    being_run: being_run::BeingRun,
}

impl RuntimeService {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), being_run: being_run::BeingRun::default() }
    }

    /// `Version`
    pub(crate) fn version(&self, _asked: &VersionRequest) -> VersionResponse {
        VersionResponse {
            version: KUBELET_INTERFACE.to_owned(),
            runtime_name: NAME.to_owned(),
            runtime_version: self.engine.options().version.clone(),
            runtime_api_version: INTERFACE.to_owned(),
        }
    }

    /// `Status`
    pub(crate) async fn status(self: Arc<Self>, asked: StatusRequest) -> StatusResponse {
        StatusResponse {
            status: Some(RuntimeStatus { conditions: self.conditions().await }),
            info: if asked.verbose { self.details() } else { BTreeMap::new() },
            runtime_handlers: vec![RuntimeHandler {
                name: String::new(),
                features: Some(RuntimeHandlerFeatures {
                    recursive_read_only_mounts: true,
                    user_namespaces: engine::has_user_namespaces(),
                }),
            }],
            features: Some(RuntimeFeatures {
                supplemental_groups_policy: true,
                user_namespaces_host_network: engine::has_user_namespaces(),
                mount_options: false,
            }),
        }
    }

    /// The additional information of a verbose `Status`.
    fn details(&self) -> BTreeMap<String, String> {
        let options = self.engine.options();
        let config = serde_json::json!({
            "dataRoot": options.data_root,
            "execRoot": options.exec_root,
            "cgroupParent": options.cgroup_parent.as_ref().map(ToString::to_string),
        });
        BTreeMap::from([("config".to_owned(), config.to_string())])
    }

    /// The conditions: the engine is open when this is called; the network of pods may have to be checked.
    async fn conditions(&self) -> Vec<RuntimeCondition> {
        let network = self.engine.pods.network_status().await.err();
        let condition = |kind: &str, failure: Option<engine::Error>| RuntimeCondition {
            r#type: kind.to_owned(),
            status: failure.is_none(),
            reason: failure.as_ref().map(|_| "NetworkPluginNotReady".to_owned()).unwrap_or_default(),
            message: failure.map(|error| model::with_causes(&error)).unwrap_or_default(),
        };
        vec![condition("RuntimeReady", None), condition("NetworkReady", network)]
    }

    /// `RuntimeConfig`
    pub(crate) fn config(&self, _asked: &RuntimeConfigRequest) -> RuntimeConfigResponse {
        let driver = match self.engine.options().pod_cgroup_driver {
            engine::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
            engine::CgroupDriver::Systemd => CgroupDriver::Systemd,
        };
        RuntimeConfigResponse { linux: Some(LinuxRuntimeConfiguration { cgroup_driver: driver.into() }) }
    }

    /// `UpdateRuntimeConfig`: pods get addresses of the engine's bridge, whatever the node's range is.
    pub(crate) fn update_config(&self, asked: &UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse {
        let network = asked.runtime_config.as_ref().and_then(|config| config.network_config.as_ref());
        if let Some(range) = network.map(|network| &network.pod_cidr).filter(|range| !range.is_empty()) {
            tracing::info!("the node's range of pods is {range}; pods have addresses of the engine's bridge");
        }
        UpdateRuntimeConfigResponse {}
    }
}

/// Whether labels include the wanted ones.
fn has_labels(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}
