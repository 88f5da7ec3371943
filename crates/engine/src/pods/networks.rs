//! Pods in networks of the host's CNI plugins: connected when their sandbox runs, disconnected when it stops, and
//! whatever happened to the last daemon.
//!
//! ```text
//! run    prepare (saved) ─▶ the sandbox starts ─▶ add
//! stop   delete ─▶ the sandbox ends
//! start  of what is saved: delete where the sandbox has ended or was not added, check the rest, collect garbage
//! ```

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use cni::{Attachment, Cancellation, Network, Plugins};
use model::{ContainerId, NetworkMode};
use serde_json::{Map, Value};

use crate::directory::Directory;
use crate::error::Error;
use crate::network_namespace;
use crate::options::Options;
use crate::paths::Paths;
use crate::record::Record;

/// A pod's parameters for plugins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodNetwork {
    /// `CNI_ARGS`, in order; the sandbox's id is added.
    pub arguments: Vec<(String, String)>,
    /// The arguments for plugins with a capability, by the capability.
    pub capabilities: Map<String, Value>,
}

/// The argument of plugins with the sandbox's id.
const SANDBOX: &str = "K8S_POD_INFRA_CONTAINER_ID";

/// The networks of pods; without plugins all pods are in the engine's own.
#[derive(Clone)]
pub(crate) struct PodNetworks {
    plugins: Option<Arc<Plugins>>,
    directory: Arc<Directory>,
}

impl PodNetworks {
    /// Makes the service.
    pub(crate) fn new(options: &Options, paths: &Paths, directory: &Arc<Directory>) -> Self {
        let plugins = options.pod_networks.clone().map(|directories| {
            Arc::new(Plugins::new(cni::Directories {
                configurations: directories.configurations,
                programs: directories.plugins,
                attachments: paths.pod_networks(),
            }))
        });
        Self { plugins, directory: Arc::clone(directory) }
    }

    /// The network of plugins that pods get now; `None` is the engine's own.
    pub(super) async fn present(&self) -> Result<Option<Network>, Error> {
        let Some(plugins) = self.plugins.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || plugins.network()).await;
        crate::outcome::joined(read)?.map_err(Error::Cni)
    }

    /// Whether pods can be connected.
    pub(super) async fn status(&self) -> Result<(), Error> {
        let work = |plugins: &Plugins| match plugins.network()? {
            Some(network) => plugins.status(&network),
            None => Ok(()),
        };
        self.apart(work).await
    }

    /// Saves a sandbox's requested network, before it starts.
    pub(super) async fn prepare(
        &self,
        id: &ContainerId,
        network: Network,
        asked: PodNetwork,
    ) -> Result<Attachment, Error> {
        let PodNetwork { mut arguments, capabilities } = asked;
        arguments.push((SANDBOX.to_owned(), id.to_string()));
        let attachment = Attachment::new(id.as_str(), network, arguments, capabilities);
        let saved = attachment.clone();
        self.apart(move |plugins| plugins.prepare(&saved)).await?;
        Ok(attachment)
    }

    /// Connects a running sandbox.
    pub(super) async fn add(
        &self,
        id: &ContainerId,
        attachment: Attachment,
        cancellation: Cancellation,
    ) -> Result<(), Error> {
        let namespace = self.namespace(id)?.ok_or_else(|| Error::NotRunning(id.to_string()))?;
        self.apart(move |plugins| plugins.add(attachment, &namespace.path(), &cancellation)).await
    }

    /// Disconnects a sandbox, running or not; one that is in no network of plugins needs nothing.
    pub(super) async fn delete(&self, id: &ContainerId) -> Result<(), Error> {
        let namespace = self.namespace(id)?;
        let id = id.to_string();
        let delete = move |plugins: &Plugins| {
            // Held until the last plugin has ended: its number could be another pod's namespace by then.
            let path = namespace.as_ref().map(Namespace::path);
            plugins.delete(&id, path.as_deref())
        };
        self.apart(delete).await
    }

    /// The addresses that plugins gave to a sandbox.
    pub(super) fn addresses(&self, id: &ContainerId) -> Vec<IpAddr> {
        let attachment = self.plugins.as_ref().map(|plugins| plugins.attachment(id.as_str()));
        match attachment {
            Some(Ok(Some(attachment))) => attachment.addresses(),
            Some(Err(error)) => {
                tracing::warn!("the addresses of sandbox {id}: {}", model::with_causes(&error));
                Vec::new()
            }
            Some(Ok(None)) | None => Vec::new(),
        }
    }

    /// What the last daemon left: the sandboxes that were being connected, those that have ended, and the others.
    pub(super) fn left(&self) -> Left {
        let mut left = Left::default();
        let Some(plugins) = &self.plugins else { return left };
        if let Err(error) = plugins.remove_unfinished() {
            tracing::warn!("what is left of a pod that was being connected: {}", model::with_causes(&error));
        }
        let saved = plugins.saved().unwrap_or_else(|error| {
            tracing::error!("the pods in networks of plugins: {}", model::with_causes(&error));
            Vec::new()
        });
        let mut known = HashSet::new();
        for name in saved {
            let Ok(id) = ContainerId::parse(&name) else { continue };
            let is_added =
                plugins.attachment(&name).is_ok_and(|found| found.is_some_and(|it| it.result.is_some()));
            let runs = self.directory.find(&name).is_ok_and(|found| found.record().is_running());
            known.insert(id.clone());
            match (is_added, runs) {
                (true, true) => left.connected.push(id),
                (true, false) => left.ended.push(id),
                (false, _) => left.half_made.push(id),
            }
        }
        // Those whose network was deleted already when the daemon died while it removed them.
        let sandboxes = self.directory.all().into_iter().map(|container| container.record());
        let is_left = |record: &Record| {
            let is_of_plugins = record.settings.host.network_mode == NetworkMode::None;
            record.is_sandbox() && record.is_running() && is_of_plugins && !known.contains(&record.id)
        };
        left.half_made.extend(sandboxes.filter(|record| is_left(record)).map(|record| record.id.clone()));
        left
    }

    /// Checks those that stay, and has plugins remove those without a sandbox.
    pub(super) async fn inspect(&self, connected: Vec<ContainerId>) {
        for id in connected {
            let Ok(Some(namespace)) = self.namespace(&id) else { continue };
            let name = id.to_string();
            if let Err(error) = self.apart(move |plugins| plugins.check(&name, &namespace.path())).await {
                tracing::warn!("the network of sandbox {id}: {}", model::with_causes(&error));
            }
        }
        let Some(plugins) = self.plugins.clone() else { return };
        let collected = tokio::task::spawn_blocking(move || plugins.collect_garbage()).await;
        for error in collected.unwrap_or(Ok(())).err().into_iter().flatten() {
            tracing::warn!("what is left in the network of pods: {}", model::with_causes(&error));
        }
    }

    /// The network namespace of a sandbox, while it runs.
    fn namespace(&self, id: &ContainerId) -> Result<Option<Namespace>, Error> {
        let Ok(found) = self.directory.find(id.as_str()) else { return Ok(None) };
        match network_namespace::of(&found.record()) {
            Ok(namespace) => Ok(Some(Namespace(namespace))),
            Err(Error::NotRunning(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a call of the plugins on a thread of its own; does nothing without plugins.
    async fn apart(
        &self,
        work: impl FnOnce(&Plugins) -> Result<(), cni::Error> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(plugins) = self.plugins.clone() else { return Ok(()) };
        crate::outcome::joined(tokio::task::spawn_blocking(move || work(&plugins)).await)?.map_err(Error::Cni)
    }
}

/// A network namespace that is held while plugins work on it.
struct Namespace(OwnedFd);

impl Namespace {
    /// Where plugins find it: no mount is needed.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}

/// What the last daemon left in networks of plugins.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// They were being connected when it ended.
    pub(super) half_made: Vec<ContainerId>,
    /// Their sandboxes have ended.
    pub(super) ended: Vec<ContainerId>,
    /// They run and are connected.
    pub(super) connected: Vec<ContainerId>,
}
