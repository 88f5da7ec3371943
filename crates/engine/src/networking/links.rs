//! Links between containers: resolved at create, followed by hosts files, variables and exceptions.
//!
//! A link is kept as an alias and the id of its target, so renaming either end does not break it.
//! It goes when one of its ends is removed, or with `DELETE /containers/parent/alias?link=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use model::{ContainerId, ContainerReference, ExposedPorts, HostSettings, NetworkMode, Port};
use network::LinkedPort;
use network::links::LinkTarget;
use network::names::LinkedHost;

use super::hosts_files::HostsFiles;
use super::leases;
use super::name_servers::NameServers;
use crate::container::{Container, Record};
use crate::directory::Directory;
use crate::error::Error;
use crate::networks::registry::NetworkRegistry;
use crate::options::Options;

/// The longest chain of containers of which each joins the network of the next.
const LONGEST_CHAIN: usize = 16;

/// Resolves containers' links and follows them: names, variables and exceptions.
pub(crate) struct Links {
    /// The default network.
    pub(super) network: Arc<network::Network>,
    pub(super) registry: Arc<NetworkRegistry>,
    pub(super) directory: Arc<Directory>,
    pub(super) options: Arc<Options>,
    pub(super) hosts_files: Arc<HostsFiles>,
    pub(super) name_servers: Arc<NameServers>,
}

impl Links {
    /// Finds the containers that a container's links lead to.
    ///
    /// # Errors
    /// Refused when an entry names no container or one in the host's network, or gives one alias to two
    /// containers.
    pub(crate) fn resolve(&self, host: &HostSettings) -> Result<BTreeMap<String, ContainerId>, Error> {
        let mut links = BTreeMap::new();
        for link in host.links.iter().flatten() {
            let target = self.target(&link.target)?;
            if links.insert(link.alias.clone(), target.clone()).is_some_and(|other| other != target) {
                let options = format!("two links have the alias {}", link.alias);
                return Err(Error::ConflictingOptions(options));
            }
        }
        Ok(links)
    }

    /// The container that a link leads to: where the named one uses another's network, that one.
    fn target(&self, reference: &ContainerReference) -> Result<ContainerId, Error> {
        let unknown = |name: &ContainerReference| {
            Error::refused(format!("Could not get container for {}", name.as_str()))
        };
        let mut target = self.directory.find(reference.as_str()).map_err(|_| unknown(reference))?;
        for _ in 0..LONGEST_CHAIN {
            let record = target.record();
            match &record.settings.host.network_mode {
                NetworkMode::Host => {
                    let options =
                        "--net=host can't be used with links. This would result in undefined behavior.";
                    return Err(Error::ConflictingOptions(options.to_owned()));
                }
                NetworkMode::Container(other) => {
                    target = self.directory.find(other.as_str()).map_err(|_| unknown(other))?;
                }
                NetworkMode::None | NetworkMode::Networks(_) => return Ok(record.id.clone()),
            }
        }
        Err(unknown(reference))
    }

    /// The lines of the hosts file for a container's links.
    pub(crate) fn hosts(&self, record: &Record) -> Vec<LinkedHost> {
        if record.links_are_names() {
            return Vec::new();
        }
        let targets =
            record.links.iter().filter_map(|(alias, id)| Some((alias, self.directory.get(id)?.record())));
        targets.filter_map(|(alias, target)| linked_host(alias, &target)).collect()
    }

    /// Refuses links to containers that do not run, where links need their addresses.
    pub(crate) fn check(&self, record: &Record) -> Result<(), Error> {
        if record.links_are_names() {
            return Ok(());
        }
        for (alias, id) in &record.links {
            let target = self.directory.get(id).map(|container| container.record());
            let running = target.as_ref().is_some_and(|target| target.is_running());
            if !running {
                let name = target.map_or_else(|| id.to_string(), |target| target.name.clone());
                return Err(Error::refused(format!(
                    "Cannot link to a non running container: /{name} AS /{}/{alias}",
                    record.name
                )));
            }
        }
        Ok(())
    }

    /// The variables that a container's links give it.
    pub(crate) fn environment(&self, record: &Record) -> Vec<String> {
        let mut variables = Vec::new();
        if record.links_are_names() {
            return variables;
        }
        for (alias, id) in &record.links {
            let Some(target) = self.directory.get(id).map(|container| container.record()) else { continue };
            let Some(address) = bridge_address(&target) else { continue };
            let exposed = exposed(&target);
            let link = LinkTarget {
                address,
                exposed: &exposed,
                environment: target.settings.environment.as_deref().unwrap_or_default(),
            };
            variables.extend(network::links::environment(&record.name, alias, link));
        }
        variables
    }

    /// The ports that a container's links open while `--icc=false`.
    pub(crate) fn ports(&self, record: &Record) -> Vec<LinkedPort> {
        if self.options.network.inter_container_communication {
            return Vec::new();
        }
        let targets = record.links.values().filter_map(|target| self.directory.get(target));
        let ports = targets.flat_map(|target| {
            let target = target.record();
            let of_target = |port| LinkedPort { container: target.id.clone(), port };
            exposed(&target).into_iter().map(of_target).collect::<Vec<_>>()
        });
        ports.collect()
    }

    /// Updates the hosts files and exceptions of the containers that link to this one, which has a new address.
    pub(crate) fn refresh_to(&self, target: &Record) {
        if target.bridge_lease().is_none() {
            return;
        }
        for parent in self.directory.all() {
            let record = parent.record();
            if record.bridge_lease().is_none() {
                continue;
            }
            let mut is_linked = false;
            for (alias, _) in record.links.iter().filter(|(_, id)| **id == target.id) {
                is_linked = true;
                if let Some(host) = linked_host(alias, target) {
                    self.hosts_files.change(&record, |content| network::names::with_link(content, &host));
                }
            }
            if is_linked {
                self.reopen(&parent);
            }
        }
    }

    /// Opens the way to linked containers again after one got a new address.
    fn reopen(&self, parent: &Container) {
        let record = parent.record();
        let ports = self.ports(&record);
        if record.bridge_lease().is_none() || ports.is_empty() {
            return;
        }
        match self.network.open_link(&record.id, &ports) {
            Ok(()) => leases::save(&self.registry, parent).forget(),
            // It has ended meanwhile.
            Err(network::Error::NotConnected(_)) => {}
            Err(error) => tracing::warn!("cannot open the links of container {}: {error}", record.id),
        }
    }

    /// Removes the link of this name, `parent/alias`; both containers stay.
    ///
    /// # Errors
    /// Unknown link, or a container's own name.
    pub(crate) async fn remove(&self, reference: &str) -> Result<(), Error> {
        let name = reference.strip_prefix('/').unwrap_or(reference);
        let unknown = || Error::NoSuchContainer(name.to_owned());
        let Some((parent, alias)) = name.split_once('/') else {
            self.directory.find(name)?;
            return Err(Error::RemoveDefaultName);
        };
        let parent = self.directory.find_own(parent).map_err(|_| unknown())?;
        let _order = parent.lock_present(name).await?;
        let target = parent.record().links.get(alias).cloned().ok_or_else(unknown)?;
        self.unlink(&parent, alias, &target)?;
        let record = parent.record();
        match record.is_running() {
            true => self.name_servers.follow(&record, &parent).await,
            false => Ok(()),
        }
    }

    /// Removes all links to a container that goes.
    pub(crate) fn forget_to(&self, target: &ContainerId) {
        for parent in self.directory.all() {
            let record = parent.record();
            for (alias, _) in record.links.iter().filter(|(_, id)| *id == target) {
                if let Err(error) = self.unlink(&parent, alias, target) {
                    tracing::error!("cannot remove the link {}/{alias}: {error}", record.name);
                }
            }
        }
    }

    /// Removes the links to containers that are gone: the last daemon died between a removal and that.
    pub(crate) fn forget_lost(&self) {
        for parent in self.directory.all() {
            for (alias, target) in &parent.record().links {
                if self.directory.get(target).is_none()
                    && let Err(error) = self.unlink(&parent, alias, target)
                {
                    tracing::error!("cannot remove the link {}/{alias}: {error}", parent.record().name);
                }
            }
        }
    }

    /// Takes a link out of its parent's record, hosts file and exceptions.
    fn unlink(&self, parent: &Container, alias: &str, target: &ContainerId) -> Result<(), Error> {
        let record = parent.record();
        if record.bridge_lease().is_some() {
            if !self.options.network.inter_container_communication {
                self.network.close_link(&record.id, target).map_err(Error::Network)?;
            }
            if let Some(target) = self.directory.get(target).map(|target| target.record()) {
                let hostname = &target.settings.hostname;
                self.hosts_files
                    .change(&record, |content| network::names::without_link(content, alias, hostname));
            }
        }
        let changed = |record: &mut Record| {
            record.links.remove(alias);
            if let Some(entries) = &mut record.settings.host.links {
                entries.retain(|link| link.alias != alias);
            }
        };
        parent.update(changed);
        leases::save(&self.registry, parent).forget();
        // Another link may lead to the same container.
        self.reopen(parent);
        Ok(())
    }
}

/// A container's links as inspect shows them, `/target:/parent/alias`, by the present names; `None` when
/// none is left.
pub(crate) fn link_entries(directory: &Directory, record: &Record) -> Option<Vec<String>> {
    let entries = record.settings.host.links.as_ref()?;
    let shown = entries.iter().filter_map(|link| {
        let alias = &link.alias;
        let target = directory.get(record.links.get(alias)?)?;
        Some(format!("/{}:/{}/{alias}", target.record().name, record.name))
    });
    Some(shown.collect()).filter(|shown: &Vec<String>| !shown.is_empty())
}

/// The ports that a container's program listens on.
pub(super) fn exposed(record: &Record) -> BTreeSet<Port> {
    record.settings.exposed_ports.iter().flatten().flat_map(|ports| ExposedPorts::ports(**ports)).collect()
}

/// The container's address on the default network, which always has IPv4.
fn bridge_address(record: &Record) -> Option<Ipv4Addr> {
    record.bridge_lease()?.ipv4.map(|lease| lease.address)
}

/// How the hosts file names a linked container; nothing while it has no address.
fn linked_host(alias: &str, target: &Record) -> Option<LinkedHost> {
    Some(LinkedHost {
        address: bridge_address(target)?,
        alias: alias.to_owned(),
        hostname: target.settings.hostname.clone(),
        name: target.name.clone(),
    })
}
