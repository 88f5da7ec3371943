//! A container's place in the network, from reservation to its resolver files.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use model::{BoundPort, Capability, NetworkMode, Port};
use network::SourceCheck;
use network::names::{HostLine, HostServers, Hosts, NameServers};

use super::links::exposed;
use super::service::Networking;
use crate::container::specification::full_hostname;
use crate::container::{Container, Record, capabilities};
use crate::error::Error;
use crate::outcome::joined;

/// The host's own resolver configuration.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";

impl Networking {
    /// Reserves the container's address and ports, makes its link, and writes its resolver files.
    pub(crate) async fn connect_network(
        self: &Arc<Self>,
        container: &Arc<Container>,
        namespace: Option<OwnedFd>,
    ) -> Result<Option<network::Endpoint>, Error> {
        let record = container.record();
        let Some(namespace) = namespace.filter(|_| record.is_on_bridge()) else { return Ok(None) };
        let request = endpoint_request(&record)?;
        if self.network.bridge().is_none() && request.ports.is_empty() {
            return Ok(None);
        }
        let (request, namespace) = (Arc::new(request), Arc::new(namespace));
        let wire = || {
            let (networking, own) = (Arc::clone(self), Arc::clone(container));
            let (request, namespace) = (Arc::clone(&request), Arc::clone(&namespace));
            tokio::task::spawn_blocking(move || networking.wire(&own, &request, namespace.as_fd()))
        };
        match joined(wire().await)? {
            Err(Error::Network(error)) if error.is_about_what_others_hold() => {
                // A container that has ended may still have it for a moment.
                self.until_ports_are_free().await;
                joined(wire().await)??;
            }
            result => result?,
        }
        let record = container.record();
        self.write_hosts(&record)?;
        Ok(record.endpoint.clone())
    }

    /// Waits until the addresses and ports of containers that have ended are free.
    pub(crate) async fn until_ports_are_free(&self) {
        drop(self.endings.write().await);
    }

    /// Reserves an endpoint, makes its link and its exceptions, and waits until that is saved, so that whatever
    /// happens to this daemon the next one knows whose address it is. A failure undoes all of it.
    fn wire(
        &self,
        container: &Container,
        request: &network::Request,
        namespace: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let network = &self.network;
        let endpoint = network.reserve(request).map_err(Error::Network)?;
        let exceptions = self.exceptions(&container.record(), endpoint.address);
        let wired = network
            .connect(&request.container, namespace)
            .and_then(|()| match exceptions.is_empty() {
                true => Ok(()),
                false => network.open_link(&request.container, &exceptions),
            })
            .map_err(Error::Network);
        if wired.is_ok() {
            // On a full disk it is tried again: the container runs meanwhile.
            let _ = self.save_endpoint(container).wait_blocking();
        }
        if wired.is_err()
            && let Err(undo) = network.disconnect(&request.container)
        {
            tracing::error!("cannot undo the link of container {}: {undo}", request.container);
        }
        wired
    }

    /// Gives back what [`Self::connect_network`] took, whatever of it there is.
    pub(crate) async fn disconnect_network(&self, container: &Arc<Container>) {
        if self.network.endpoint(container.id()).is_none() {
            return;
        }
        let (network, id) = (Arc::clone(&self.network), container.id().clone());
        let work = tokio::task::spawn_blocking(move || network.disconnect(&id));
        if let Ok(Err(error)) = work.await {
            tracing::error!("cannot disconnect container {}: {error}", container.id());
        }
    }

    /// Writes hosts, hostname and resolv.conf before the start; the own address follows later.
    pub(crate) fn write_name_files(&self, record: &Record) -> Result<Vec<(PathBuf, &'static str)>, Error> {
        let directory = self.paths.container(&record.id);
        let path = |name: &str| directory.join(name);
        let hostname = network::names::hostname(&full_hostname(&record.settings));
        network::names::write_in_place(&path("hostname"), &hostname).map_err(Error::Network)?;
        self.write_hosts(record)?;
        let host_file = network::names::host_resolv_conf(std::path::Path::new(HOST_RESOLV_CONF))
            .map_err(Error::Network)?;
        let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        let host = &record.settings.host;
        let own = NameServers {
            servers: list(&host.dns),
            search: list(&host.dns_search),
            options: list(&host.dns_options),
        };
        let defaults = NameServers {
            servers: self.options.dns.clone(),
            search: self.options.dns_search.clone(),
            options: Vec::new(),
        };
        let reach =
            if host.network_mode == NetworkMode::Host { HostServers::All } else { HostServers::Reachable };
        let content = network::names::resolv_conf(&host_file, &own.or(&defaults), reach);
        network::names::write_in_place(&path("resolv.conf"), &content).map_err(Error::Network)?;
        Ok(vec![
            (path("resolv.conf"), "/etc/resolv.conf"),
            (path("hostname"), "/etc/hostname"),
            (path("hosts"), "/etc/hosts"),
        ])
    }

    /// The resolver files of the container whose network another one joins.
    pub(crate) fn joined_name_files(&self, other: &Record) -> Vec<(PathBuf, &'static str)> {
        let directory = self.paths.container(&other.id);
        [("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts")]
            .map(|(name, destination)| (directory.join(name), destination))
            .into_iter()
            .filter(|(file, _)| file.exists())
            .collect()
    }

    fn write_hosts(&self, record: &Record) -> Result<(), Error> {
        let gateway = self.network.bridge().map(|(_, bridge)| bridge.address);
        let extra = record.settings.host.extra_hosts.iter().flatten();
        let extra: Vec<_> = extra
            .map(|host| HostLine::of(host, gateway))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::refused(error.to_string()))?;
        let _alone = self.hosts_files.lock().unwrap_or_else(PoisonError::into_inner);
        let content = if record.settings.host.network_mode == NetworkMode::Host {
            let host =
                network::names::host_hosts(std::path::Path::new("/etc/hosts")).map_err(Error::Network)?;
            network::names::host_network_hosts(&host, &extra)
        } else {
            let hosts = Hosts {
                address: record.endpoint.as_ref().map(|endpoint| endpoint.address),
                hostname: record.settings.hostname.clone(),
                domainname: record.settings.domainname.clone(),
                extra,
                links: self.linked_hosts(record),
            };
            hosts.content()
        };
        network::names::write_in_place(&self.paths.hosts(&record.id), &content).map_err(Error::Network)
    }
}

/// The endpoint of a container as it was saved, with what it may send as its settings say: the
/// endpoints of earlier releases do not tell.
pub(crate) fn saved_endpoint(record: &Record) -> Option<network::Endpoint> {
    let endpoint = record.endpoint.clone()?;
    Some(network::Endpoint { source_check: source_check(record), ..endpoint })
}

/// What a container may send: one that may change its own network may be a router for others.
fn source_check(record: &Record) -> SourceCheck {
    match capabilities::has(&record.settings.host, Capability::NetAdmin) {
        true => SourceCheck::Loose,
        false => SourceCheck::Strict,
    }
}

fn endpoint_request(record: &Record) -> Result<network::Request, Error> {
    let mac = match record.settings.mac_address.as_str() {
        "" => None,
        text => {
            Some(text.parse().map_err(|error: network::MacAddressError| Error::refused(error.to_string()))?)
        }
    };
    let bindings = record.settings.host.port_bindings.clone().unwrap_or_default();
    let mut exposed: BTreeSet<Port> = exposed(record);
    exposed.extend(bindings.keys().filter_map(|port| match **port {
        BoundPort::Port(port) => Some(port),
        BoundPort::UnknownProtocol(_) | BoundPort::Nothing => None,
    }));
    let ports = network::port::plan(&exposed, &bindings, record.settings.host.publish_all_ports)
        .map_err(|error| Error::refused(error.to_string()))?;
    Ok(network::Request {
        container: record.id.clone(),
        mac,
        interface_name: network::INTERFACE_NAME.to_owned(),
        source_check: source_check(record),
        ports,
    })
}
