//! Pods, and the verbs of sandboxes and of the containers in them.

use std::net::IpAddr;
use std::sync::Arc;

use cni::Cancellation;
use images::TreeSize;
use model::{ContainerId, ContainerSettings, ErrorKind, EventAction, IdMapping, NetworkMode};
use shim_protocol::Request;

use super::connect::PodStreams;
use super::find;
use super::networks::{PodNetwork, PodNetworks};
use super::unfinished::{CancelOnDrop, Run, Unfinished};
use crate::container::create::{Created, NewContainer};
use crate::container::remove::Removal;
use crate::container::samples::{Reading, Samples};
use crate::container::stop::StopOptions;
use crate::container::update::ContainerUpdate;
use crate::container::{Phase, Record, RemovalState};
use crate::error::Error;
use crate::layer_size;
use crate::outcome::Outcome;
use crate::pod_role::{PodPart, PodRole};
use crate::realm::Realm;

/// Seconds that a sandbox gets to end by itself: it has nothing to do but to end.
const SANDBOX_GRACE: i64 = 2;

/// A part of a pod is removed with all its content.
const REMOVAL: Removal = Removal { volumes: true, force: true, link: false };

/// A request for a sandbox.
pub struct NewSandbox {
    /// Its settings.
    pub settings: ContainerSettings,
    /// Its requested network of plugins.
    pub network: PodNetwork,
    /// How the users of the pod map to the host's; `None` for the same ids.
    pub user_namespace: Option<IdMapping>,
    /// The front end's description, to be shown again.
    pub description: String,
}

/// All pods of the engine. The verbs run to their end even when their caller stops waiting, but for the run of a sandbox,
/// which is undone then.
pub struct Pods {
    pub(crate) realm: Arc<Realm>,
    /// What clients do in them.
    pub streams: Arc<PodStreams>,
    pub(crate) networks: PodNetworks,
    /// Which sandboxes are not ready.
    pub unfinished: Arc<Unfinished>,
}

impl Pods {
    /// The sandboxes of all pods, newest first.
    #[must_use]
    pub fn sandboxes(&self) -> Vec<Arc<Record>> {
        find::records(&self.realm).filter(|record| record.is_sandbox()).collect()
    }

    /// The containers of all pods, newest first.
    #[must_use]
    pub fn containers(&self) -> Vec<Arc<Record>> {
        find::records(&self.realm).filter(|record| !record.is_sandbox()).collect()
    }

    /// Finds a sandbox by its id, or an unambiguous start of it.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] or [`Error::AmbiguousContainer`].
    pub fn sandbox(&self, reference: &str) -> Result<Arc<Record>, Error> {
        find::sandbox(&self.realm, reference).map(|found| found.record())
    }

    /// Finds a container of a pod by its id, or an unambiguous start of it.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] or [`Error::AmbiguousContainer`].
    pub fn container(&self, reference: &str) -> Result<Arc<Record>, Error> {
        find::container(&self.realm, reference).map(|found| found.record())
    }

    /// Makes a sandbox and lets it hold its namespaces. With a network of plugins it is connected to that, else to the
    /// engine's own.
    ///
    /// # Errors
    /// Refused settings, namespaces and a network that cannot be had, or a sandbox that was stopped meanwhile. Nothing is
    /// left then.
    pub async fn run_sandbox(&self, new: NewSandbox) -> Result<ContainerId, Error> {
        let NewSandbox { mut settings, network: asked, user_namespace, description } = new;
        let network = match settings.host.network_mode {
            NetworkMode::Networks(_) => self.networks.present().await?,
            NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_) => None,
        };
        if network.is_some() {
            settings.host.network_mode = NetworkMode::None;
            settings.host.port_bindings = None;
        }
        let (containers, networks) = (Arc::clone(&self.realm.containers), self.networks.clone());
        let (events, unfinished) = (Arc::clone(&self.realm.events), Arc::clone(&self.unfinished));
        let cancellation = Cancellation::new().map_err(|error| {
            Error::refused(format!("cannot make a descriptor for the run of a sandbox: {error}"))
        })?;
        let _cancel = CancelOnDrop(cancellation.clone());
        crate::outcome::finish(async move {
            let role = PodRole { part: PodPart::Sandbox, user_namespace, description };
            let id = containers.creator.create_sandbox(settings, role).await?;
            let run = Run::new(cancellation);
            unfinished.begin(&id, &run);
            let started = async {
                let attachment = match network {
                    Some(network) => Some(networks.prepare(&id, network, asked).await?),
                    None => None,
                };
                let _ = containers.start(id.as_str(), None).await?;
                if let Some(attachment) = attachment {
                    networks.add(&id, attachment, run.cancellation.clone()).await?;
                }
                if unfinished.finish(&id) {
                    Ok(())
                } else {
                    Err(Error::conflict(format!("the sandbox {id} was stopped before it was ready")))
                }
            };
            match started.await {
                Ok(()) => {
                    if let Ok(sandbox) = containers.find(id.as_str()) {
                        events.emit_container(&sandbox.record(), EventAction::Ready, &[]);
                    }
                    Ok(id)
                }
                Err(error) => {
                    unfinished.leave(&id);
                    if let Err(left) = networks.delete(&id).await {
                        let left = model::with_causes(&left);
                        tracing::warn!(
                            "the network of the sandbox {id} that could not be started is left: {left}"
                        );
                    }
                    match containers.remove(id.as_str(), REMOVAL).await {
                        Err(left) if left.kind() != ErrorKind::NotFound => {
                            let left = model::with_causes(&left);
                            tracing::warn!("the sandbox {id} that could not be started is left: {left}");
                        }
                        Ok(()) | Err(_) => unfinished.forget(&id),
                    }
                    Err(error)
                }
            }
        })
        .await
    }

    /// Whether the network of pods can connect them.
    ///
    /// # Errors
    /// A configuration that cannot be read, or a plugin that reports why it cannot.
    pub async fn network_status(&self) -> Result<(), Error> {
        self.networks.status().await
    }

    /// The addresses of a running sandbox, those of IPv4 first; none on the host's network.
    #[must_use]
    pub fn addresses(&self, sandbox: &Record) -> Vec<IpAddr> {
        if !self.unfinished.is_ready(sandbox) {
            return Vec::new();
        }
        let mut addresses: Vec<IpAddr> = match sandbox.main_lease() {
            Some(lease) => lease.addresses().collect(),
            None => self.networks.addresses(&sandbox.id),
        };
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses
    }

    /// Kills the containers of a pod, and releases its namespaces and its network. A sandbox that is being started is
    /// undone.
    ///
    /// # Errors
    /// Unknown sandbox, or processes that do not end.
    pub async fn stop_sandbox(&self, reference: &str) -> Result<(), Error> {
        let sandbox = self.sandbox(reference)?;
        self.unfinished.break_off(&sandbox.id).await;
        for container in self.containers_of(&sandbox.id) {
            let options = StopOptions { grace: Some(0), signal: None };
            unless_gone(self.realm.containers.stop(container.id.as_str(), options).await.map(drop))?;
        }
        self.networks.delete(&sandbox.id).await?;
        let options = StopOptions { grace: Some(SANDBOX_GRACE), signal: None };
        unless_gone(self.realm.containers.stop(sandbox.id.as_str(), options).await.map(drop))
    }

    /// Removes a pod with its containers, whatever they do.
    ///
    /// # Errors
    /// Unknown sandbox, or what cannot be removed.
    pub async fn remove_sandbox(&self, reference: &str) -> Result<(), Error> {
        let sandbox = self.sandbox(reference)?;
        self.unfinished.break_off(&sandbox.id).await;
        for container in self.containers_of(&sandbox.id) {
            unless_gone(self.realm.containers.remove(container.id.as_str(), REMOVAL).await)?;
        }
        self.networks.delete(&sandbox.id).await?;
        unless_gone(self.realm.containers.remove(sandbox.id.as_str(), REMOVAL).await)?;
        self.unfinished.forget(&sandbox.id);
        Ok(())
    }

    /// Makes a container in a pod.
    ///
    /// # Errors
    /// Refused settings, an unknown image or sandbox. Nothing is left then.
    pub async fn create(&self, settings: ContainerSettings, role: PodRole) -> Result<ContainerId, Error> {
        let new = NewContainer { settings, pod: Some(role), ..NewContainer::default() };
        let Created { id, warnings, .. } = self.realm.containers.create(new).await?;
        for warning in warnings {
            tracing::warn!("container {id} of a pod: {warning}");
        }
        Ok(id)
    }

    /// Starts a container of a pod.
    ///
    /// # Errors
    /// Unknown container, or a program that cannot be run.
    pub async fn start(&self, reference: &str) -> Result<Outcome, Error> {
        let record = self.container(reference)?;
        self.realm.containers.start(record.id.as_str(), None).await
    }

    /// Stops a container of a pod.
    ///
    /// # Errors
    /// Unknown container, or one whose processes do not end.
    pub async fn stop(&self, reference: &str, options: StopOptions) -> Result<Outcome, Error> {
        let record = self.container(reference)?;
        self.realm.containers.stop(record.id.as_str(), options).await
    }

    /// Removes a container of a pod, whatever it does.
    ///
    /// # Errors
    /// Unknown container, or one that cannot be removed.
    pub async fn remove(&self, reference: &str) -> Result<(), Error> {
        let container = find::container(&self.realm, reference)?;
        let mut removal = container.removal.subscribe();
        let removed = self.realm.containers.remove(container.id().as_str(), REMOVAL).await;
        if removed.is_ok() || !matches!(container.record().phase, Phase::Removing) {
            return removed;
        }
        // Another caller removes it: it is removed once.
        if *removal.borrow() != RemovalState::Done {
            let _ = removal.changed().await;
        }
        let state = removal.borrow().clone();
        match state {
            RemovalState::Failed(reason) => Err(Error::refused(reason)),
            RemovalState::Pending | RemovalState::Done => Ok(()),
        }
    }

    /// Changes the limits of a container of a pod.
    ///
    /// # Errors
    /// Unknown container, values that cannot be, and what the kernel refuses; then nothing has changed.
    pub async fn update(&self, reference: &str, update: ContainerUpdate) -> Result<(), Error> {
        let record = self.container(reference)?;
        self.realm.containers.update(record.id.as_str(), update).await.map(drop)
    }

    /// Reads the counters of a container or a sandbox; zeros when it does not run.
    ///
    /// # Errors
    /// Unknown id, or counters that cannot be read.
    pub async fn statistics(&self, id: &ContainerId) -> Result<Samples, Error> {
        self.realm.containers.statistics_once(id.as_str(), Reading::One).await
    }

    /// The bytes of a container's own layer.
    ///
    /// # Errors
    /// A layer that cannot be read.
    pub async fn layer_size(&self, id: &ContainerId) -> Result<TreeSize, Error> {
        let (realm, id) = (Arc::clone(&self.realm), id.clone());
        let work = tokio::task::spawn_blocking(move || layer_size::of_container(&realm.paths, &id));
        crate::outcome::joined(work.await)?
    }

    /// Has a container's shim open the log again under its name: it has been moved away.
    ///
    /// # Errors
    /// Unknown container, one that does not run, or a log that cannot be opened.
    pub async fn reopen_log(&self, reference: &str) -> Result<(), Error> {
        let container = find::container(&self.realm, reference)?;
        let not_running = || Error::NotRunning(reference.to_owned());
        let shim = container.shim().ok_or_else(not_running)?;
        shim.request(Request::ReopenLog, None).await?;
        Ok(())
    }

    /// Replaces what the front end keeps of a sandbox, to show it again.
    ///
    /// # Errors
    /// Unknown sandbox, or a row that cannot be written.
    pub async fn describe_sandbox(&self, reference: &str, description: String) -> Result<(), Error> {
        let sandbox = find::sandbox(&self.realm, reference)?;
        let describe = |record: &mut Record| {
            let described = record.pod.as_deref().map(|pod| PodRole { description, ..pod.clone() });
            record.pod = described.map(Arc::new);
        };
        sandbox.update_saved(describe).1.wait().await
    }

    /// The containers of a pod, newest first.
    #[must_use]
    pub fn containers_of(&self, sandbox: &ContainerId) -> Vec<Arc<Record>> {
        let is_in = |record: &Arc<Record>| {
            record.pod.as_ref().and_then(|pod| pod.sandbox()).is_some_and(|other| other == sandbox)
        };
        find::records(&self.realm).filter(is_in).collect()
    }
}

/// Treats an already ended one as success.
fn unless_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
