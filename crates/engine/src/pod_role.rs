//! The role of a container in a pod of Kubernetes. Clients of Docker's API do not see such containers.

use std::path::PathBuf;

use model::{ContainerId, IdMapping};
use serde::{Deserialize, Serialize};

/// The role of a container in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRole {
    /// Which part of the pod it is.
    pub part: PodPart,
    /// How the users of the pod map to the host's; `None` for the same ids. All containers of a pod have the
    /// same mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_namespace: Option<IdMapping>,
    /// The front end's description, to be shown again; it is not read here.
    pub description: String,
}

/// A part of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodPart {
    /// Holds the pod's namespaces. It has no image and no program.
    Sandbox,
    /// A container in the pod.
    Container {
        /// The pod's sandbox.
        sandbox: ContainerId,
        /// The file of its log, in the kubelet's form; `None` keeps no log.
        log: Option<PathBuf>,
    },
}

impl PodRole {
    /// The role of a row that cannot be read: it stays a pod's, so that no client of Docker's API sees it.
    pub(crate) const fn unreadable() -> Self {
        Self { part: PodPart::Sandbox, user_namespace: None, description: String::new() }
    }

    /// The sandbox of the pod that a container is in; `None` for the sandbox itself.
    #[must_use]
    pub const fn sandbox(&self) -> Option<&ContainerId> {
        match &self.part {
            PodPart::Sandbox => None,
            PodPart::Container { sandbox, .. } => Some(sandbox),
        }
    }
}
