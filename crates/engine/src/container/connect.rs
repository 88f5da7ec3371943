//! A container's place in the network, from reservation to its name files.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use network::links::{Link, LinkTarget};
use network::names::{ExtraHost, HostServers, Hosts, LinkedHost, NameServers};

use crate::container::{Container, Record};
use crate::engine::Engine;
use crate::error::{Error, file_error};

/// The host's own resolver configuration.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";

impl Engine {
    /// Reserves the container's address and ports, makes its link, and writes its name files.
    pub(crate) async fn connect_network(
        self: &Arc<Self>,
        container: &Arc<Container>,
        namespace: Option<OwnedFd>,
    ) -> Result<Option<network::Endpoint>, Error> {
        let record = container.record();
        let Some(namespace) = namespace.filter(|_| record.is_on_bridge() && self.network.bridge().is_some())
        else {
            return Ok(None);
        };
        let request = endpoint_request(&record)?;
        let openings = self.openings(&record);
        let network = Arc::clone(&self.network);
        let work = tokio::task::spawn_blocking(move || {
            let endpoint = network.reserve(&request)?;
            let wired = network.connect(&request.container, namespace.as_fd()).and_then(|()| {
                let openings = openings(endpoint.address);
                if openings.is_empty() { Ok(()) } else { network.allow(&request.container, &openings) }
            });
            match wired {
                // Asked for again: openings are part of what is saved.
                Ok(()) => Ok(network.endpoint(&request.container).unwrap_or(endpoint)),
                Err(error) => {
                    if let Err(undo) = network.disconnect(&request.container) {
                        tracing::error!("cannot undo the link of container {}: {undo}", request.container);
                    }
                    Err(error)
                }
            }
        });
        let endpoint = joined(work.await)?.map_err(Error::Network)?;
        self.write_hosts(&record, Some(endpoint.address))?;
        Ok(Some(endpoint))
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
        let directory = self.container_directory(&record.id);
        let path = |name: &str| directory.join(name);
        network::names::write_in_place(&path("hostname"), &network::names::hostname(&record.config.hostname))
            .map_err(Error::Network)?;
        self.write_hosts(record, None)?;
        let host_file = network::names::host_resolv_conf(std::path::Path::new(HOST_RESOLV_CONF))
            .map_err(Error::Network)?;
        let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        let host = &record.host_config;
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
        let reach = if host.network_mode == "host" { HostServers::All } else { HostServers::Reachable };
        let content = network::names::resolv_conf(&host_file, &own.or(&defaults), reach);
        network::names::write_in_place(&path("resolv.conf"), &content).map_err(Error::Network)?;
        Ok(vec![
            (path("resolv.conf"), "/etc/resolv.conf"),
            (path("hostname"), "/etc/hostname"),
            (path("hosts"), "/etc/hosts"),
        ])
    }

    /// The name files of the container whose network another one joins.
    pub(crate) fn joined_name_files(&self, other: &Record) -> Vec<(PathBuf, &'static str)> {
        let directory = self.container_directory(&other.id);
        [("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts")]
            .map(|(name, destination)| (directory.join(name), destination))
            .into_iter()
            .filter(|(file, _)| file.exists())
            .collect()
    }

    fn write_hosts(&self, record: &Record, address: Option<std::net::Ipv4Addr>) -> Result<(), Error> {
        let extra = record
            .host_config
            .extra_hosts
            .iter()
            .flatten()
            .map(|text| ExtraHost::parse(text).map_err(|error| Error::refused(error.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let content = if record.host_config.network_mode == "host" {
            let path = std::path::Path::new("/etc/hosts");
            let host = std::fs::read_to_string(path).map_err(file_error("read", path))?;
            network::names::host_network_hosts(&host, &extra)
        } else {
            let hosts = Hosts {
                address,
                hostname: record.config.hostname.clone(),
                domainname: record.config.domainname.clone(),
                extra,
                links: self.linked_hosts(record),
            };
            hosts.content()
        };
        let path = self.container_directory(&record.id).join("hosts");
        network::names::write_in_place(&path, &content).map_err(Error::Network)
    }

    fn linked_hosts(&self, record: &Record) -> Vec<LinkedHost> {
        let running =
            record.links.iter().filter_map(|(alias, id)| Some((alias, self.directory.get(id)?.record())));
        running
            .filter_map(|(alias, target)| {
                let address = target.endpoint.as_ref()?.address;
                Some(linked_host(alias, &target, address))
            })
            .collect()
    }

    /// The variables that a container's links give it.
    pub(crate) fn link_environment(&self, record: &Record) -> Vec<String> {
        let mut variables = Vec::new();
        for (alias, id) in &record.links {
            let Some(target) = self.directory.get(id).map(|container| container.record()) else { continue };
            let Some(endpoint) = &target.endpoint else { continue };
            let exposed =
                network::port::exposed(target.config.exposed_ports.iter().flat_map(|ports| ports.keys()));
            let link = LinkTarget {
                address: endpoint.address,
                exposed: &exposed,
                environment: target.config.env.as_deref().unwrap_or_default(),
            };
            variables.extend(network::links::environment(&record.name, alias, link));
        }
        variables
    }

    /// What a link opens while containers are otherwise kept apart.
    fn openings(&self, record: &Record) -> impl FnOnce(std::net::Ipv4Addr) -> Vec<network::Opening> + use<> {
        let mut targets = Vec::new();
        if !self.options.network.inter_container_communication {
            for target in record.links.values().filter_map(|id| self.directory.get(id)) {
                let target = target.record();
                let Some(endpoint) = &target.endpoint else { continue };
                let ports = target.config.exposed_ports.iter().flat_map(|ports| ports.keys());
                targets
                    .extend(network::port::exposed(ports).into_iter().map(|port| (endpoint.address, port)));
            }
        }
        move |from| targets.into_iter().map(|(to, port)| network::Opening { from, to, port }).collect()
    }

    /// Tells containers that are linked to this one its new address.
    pub(crate) fn refresh_links_to(&self, target: &Record) {
        let Some(endpoint) = &target.endpoint else { return };
        for parent in self.directory.all() {
            let record = parent.record();
            if !record.is_running() {
                continue;
            }
            for (alias, _) in record.links.iter().filter(|(_, id)| **id == target.id) {
                let path = self.container_directory(&record.id).join("hosts");
                let Ok(content) = std::fs::read_to_string(&path) else { continue };
                let changed =
                    network::names::with_link(&content, &linked_host(alias, target, endpoint.address));
                if let Err(error) = network::names::write_in_place(&path, &changed) {
                    tracing::warn!(
                        "cannot give container {} the new address of {}: {error}",
                        record.id,
                        target.id
                    );
                }
            }
            if record.links.values().any(|id| *id == target.id) {
                self.reopen_links(&parent);
            }
        }
    }

    /// Opens the way to linked containers again after one got a new address.
    fn reopen_links(&self, parent: &Container) {
        let record = parent.record();
        let Some(endpoint) = &record.endpoint else { return };
        let openings = self.openings(&record)(endpoint.address);
        if openings.is_empty() {
            return;
        }
        let opened = self.network.allow(&record.id, &openings).map_err(Error::Network).and_then(|()| {
            let endpoint = self.network.endpoint(&record.id);
            parent.update(&self.database, |record| record.endpoint = endpoint).map(drop)
        });
        if let Err(error) = opened {
            tracing::warn!("cannot open the links of container {}: {error}", record.id);
        }
    }

    /// Finds a container by a link's name, `parent/alias`.
    pub(crate) fn find_by_link(&self, reference: &str) -> Option<Arc<Container>> {
        let (parent, alias) = reference.strip_prefix('/').unwrap_or(reference).split_once('/')?;
        let parent = self.directory.find(parent).ok()?.record();
        self.directory.get(parent.links.get(alias)?)
    }

    /// Resolves `HostConfig.Links` to containers.
    ///
    /// # Errors
    /// Refused when an entry is malformed or names no container.
    pub(crate) fn resolve_links(
        &self,
        entries: &[String],
    ) -> Result<std::collections::BTreeMap<String, model::ContainerId>, Error> {
        let mut links = std::collections::BTreeMap::new();
        for entry in entries {
            let link = Link::parse(entry).map_err(|error| Error::refused(error.to_string()))?;
            let target = self
                .find(&link.target)
                .map_err(|_| Error::refused(format!("Could not get container for {}", link.target)))?;
            links.insert(link.alias, target.id().clone());
        }
        Ok(links)
    }
}

fn linked_host(alias: &str, target: &Record, address: std::net::Ipv4Addr) -> LinkedHost {
    LinkedHost {
        address,
        alias: alias.to_owned(),
        hostname: target.config.hostname.clone(),
        name: target.name.clone(),
    }
}

fn endpoint_request(record: &Record) -> Result<network::Request, Error> {
    let mac = match record.config.mac_address.as_str() {
        "" => None,
        text => {
            Some(text.parse().map_err(|error: network::MacAddressError| Error::refused(error.to_string()))?)
        }
    };
    let bindings = record.host_config.port_bindings.clone().unwrap_or_default();
    let mut exposed =
        network::port::exposed(record.config.exposed_ports.iter().flat_map(|ports| ports.keys()));
    exposed.extend(network::port::exposed(bindings.keys()));
    let ports = network::port::plan(&exposed, &bindings, record.host_config.publish_all_ports)
        .map_err(|error| Error::refused(error.to_string()))?;
    Ok(network::Request { container: record.id.clone(), mac, ports })
}

pub(crate) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, Error> {
    result.map_err(|failure| Error::refused(format!("the engine failed at this request: {failure}")))
}
