//! Name servers of containers in user-defined networks: the container's shim answers at 127.0.0.11 inside, from
//! the files of its networks. Other containers do not use it.

use std::path::Path;
use std::sync::Arc;

use model::{ContainerId, NetworkMode};
use network::names::{HostServers, NameServers as AskedServers, OwnNameServer, Reach, UpstreamServer};
use shim_protocol::names::{Link, NameService, NamesOfNetwork, Upstream, UpstreamNamespace};
use shim_protocol::{FailureKind, Request};

use crate::container::{Container, Record};
use crate::endpoint::Endpoint;
use crate::error::{Error, file_error};
use crate::fault;
use crate::networks::registry::NetworkRegistry;
use crate::options::Options;
use crate::outcome::joined;
use crate::paths::Paths;
use crate::shim::{RequestError, Shim};

/// The host's own resolver configuration.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";

/// A longer resolv.conf of a container is its own, in bytes.
const LONGEST_OWN: u64 = 64 * 1024;

/// Sends shims the networks whose names their containers can resolve.
pub(crate) struct NameServers {
    pub(super) registry: Arc<NetworkRegistry>,
    pub(super) paths: Arc<Paths>,
    pub(super) options: Arc<Options>,
}

impl NameServers {
    /// Sends the shim of a container that is about to start its networks.
    ///
    /// # Errors
    /// When the shim cannot answer names.
    pub(crate) async fn open(&self, record: &Record, shim: &Shim) -> Result<(), Error> {
        if !record.has_names() {
            return Ok(());
        }
        match self.service(record, &host_file()?) {
            Some(service) => send(record, shim, Some(service)).await,
            None => Ok(()),
        }
    }

    /// Sends the shim of a running container its networks where they are others than those of `before`; its resolv.conf
    /// follows. The caller holds its transition.
    ///
    /// # Errors
    /// When the shim cannot answer names.
    pub(crate) async fn follow(&self, before: &Record, container: &Container) -> Result<(), Error> {
        let record = container.record();
        match before.has_names() || record.has_names() {
            true => self.settle(container).await,
            false => Ok(()),
        }
    }

    /// Sends the shim of a running container its networks, whether it has them or not; its resolv.conf follows. The
    /// caller holds its transition.
    ///
    /// # Errors
    /// When the shim cannot answer names.
    pub(crate) async fn settle(&self, container: &Container) -> Result<(), Error> {
        let record = container.record();
        let Some(shim) = container.shim() else { return Err(Error::NotRunning(record.id.to_string())) };
        let host_file = host_file()?;
        let service = self.service(&record, &host_file);
        fault::check("names-sent")?;
        // Whatever reads the file finds the server that it names.
        if service.is_some() {
            send(&record, &shim, service).await?;
            fault::check("names-answered")?;
            self.change_resolv_conf(&record, &host_file).await
        } else {
            self.change_resolv_conf(&record, &host_file).await?;
            fault::check("names-answered")?;
            send(&record, &shim, service).await
        }
    }

    /// Writes a container's new name into the files of its networks.
    ///
    /// # Errors
    /// When a file of names cannot be written.
    pub(crate) fn rename(&self, record: &Record) -> Result<(), Error> {
        for endpoint in &record.endpoints {
            if let Ok(entry) = self.registry.of_endpoint(endpoint)
                && let (Some(names), Some(named)) = (entry.names(), record.named_in(endpoint))
            {
                names.set(&record.id, named)?;
            }
        }
        Ok(())
    }

    /// The content of a container's resolv.conf.
    pub(super) fn resolv_conf(&self, record: &Record) -> Result<String, Error> {
        let host_file = host_file()?;
        Ok(match record.has_names() {
            true => self.own_server(record, &host_file).resolv_conf,
            false => self.host_servers(record, &host_file),
        })
    }

    /// The content of a container's resolv.conf in no network that has names.
    fn host_servers(&self, record: &Record, host_file: &str) -> String {
        let reach = match record.settings.host.network_mode {
            NetworkMode::Host => HostServers::All,
            NetworkMode::None | NetworkMode::Networks(_) | NetworkMode::Container(_) => {
                HostServers::Reachable
            }
        };
        network::names::resolv_conf(host_file, &self.asked(record), reach)
    }

    /// The requested servers, search domains and options, by the container or by the daemon's flags.
    fn asked(&self, record: &Record) -> AskedServers {
        let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        let host = &record.settings.host;
        let own = AskedServers {
            servers: host.dns.iter().flatten().map(|server| (**server).clone()).collect(),
            search: list(&host.dns_search),
            options: list(&host.dns_options),
        };
        let defaults = AskedServers {
            servers: self.options.dns.clone(),
            search: self.options.dns_search.clone(),
            options: Vec::new(),
        };
        own.or(&defaults)
    }

    fn own_server(&self, record: &Record, host_file: &str) -> OwnNameServer {
        let reach = match record.endpoints.iter().all(|endpoint| endpoint.internal) {
            true => Reach::Internal,
            false => Reach::Outside,
        };
        OwnNameServer::new(host_file, &self.asked(record), reach)
    }

    /// The name service of a container; `None` if it is in no network with names.
    fn service(&self, record: &Record, host_file: &str) -> Option<NameService> {
        let mut endpoints: Vec<_> =
            record.endpoints.iter().filter(|endpoint| endpoint.lease.is_some()).collect();
        endpoints.sort_by_key(|endpoint| endpoint.gateway_order());
        let names = |endpoint: &Endpoint| {
            let entry = self.registry.of_endpoint(endpoint).ok()?;
            Some(NamesOfNetwork { file: entry.names()?.file().to_owned(), links: links(record, endpoint) })
        };
        let networks: Vec<_> = endpoints.into_iter().filter_map(names).collect();
        if networks.is_empty() {
            return None;
        }
        let own = self.own_server(record, host_file);
        let keeps_single_labels = own.keeps_single_labels;
        let upstream = own.upstream.into_iter().map(upstream).collect();
        Some(NameService { networks, upstream, keeps_single_labels })
    }

    /// Writes the resolv.conf that the container's networks need now, unless the container has changed it: its
    /// content is then neither that of networks with names nor that of others.
    async fn change_resolv_conf(&self, record: &Record, host_file: &str) -> Result<(), Error> {
        let path = self.paths.resolv_conf(&record.id);
        let own = self.own_server(record, host_file).resolv_conf;
        let hosts = self.host_servers(record, host_file);
        let (wanted, other) = if record.has_names() { (own, hosts) } else { (hosts, own) };
        let container = record.id.clone();
        // It is on the disk of the data root.
        let change = move || change_resolv_conf(&container, &path, &wanted, &other);
        joined(tokio::task::spawn_blocking(change).await)?
    }
}

/// Writes a container's resolv.conf if it is the `other` one.
fn change_resolv_conf(container: &ContainerId, path: &Path, wanted: &str, other: &str) -> Result<(), Error> {
    let content = sys::bounded_read::read(path, LONGEST_OWN).map_err(file_error("read", path))?;
    // A daemon that died while it wrote has left empty lines.
    if content.trim_ascii_end() == other.trim_ascii_end().as_bytes() {
        return network::names::write_in_place(path, wanted).map_err(Error::Network);
    }
    if content.trim_ascii_end() != wanted.trim_ascii_end().as_bytes() {
        tracing::info!(
            "the resolv.conf of container {container} is not as the engine wrote it, and stays as it is"
        );
    }
    Ok(())
}

fn host_file() -> Result<String, Error> {
    network::names::host_resolv_conf(Path::new(HOST_RESOLV_CONF)).map_err(Error::Network)
}

const fn upstream(server: UpstreamServer) -> Upstream {
    match server {
        UpstreamServer::Given(address) => Upstream { address, namespace: UpstreamNamespace::Container },
        UpstreamServer::Host(address) => Upstream { address, namespace: UpstreamNamespace::Host },
    }
}

/// The container's own names for others in a network: its links there, and those of its own settings.
fn links(record: &Record, endpoint: &Endpoint) -> Vec<Link> {
    let asked = endpoint.attachment.links.iter().flatten().map(|text| link(text));
    let own = record
        .links
        .iter()
        .map(|(alias, target)| Link { alias: alias.clone(), container: target.short().to_owned() });
    asked.chain(own).collect()
}

/// A link as clients write it: `container:alias`, or a container alone.
fn link(text: &str) -> Link {
    let plain = |name: &str| name.trim_start_matches('/').to_owned();
    let (container, alias) = text.split_once(':').unwrap_or((text, text));
    // Files of names have short ids.
    let short = ContainerId::parse(container).map(|id| id.short().to_owned());
    Link { alias: plain(alias), container: short.unwrap_or_else(|_| plain(container)) }
}

/// A shim of an earlier release has no name server: its container keeps running without names.
async fn send(record: &Record, shim: &Shim, service: Option<NameService>) -> Result<(), Error> {
    match shim.request(Request::Names(service.map(Box::new)), None).await {
        Ok(_) => Ok(()),
        Err(RequestError::Refused(failure)) if failure.kind == FailureKind::Unsupported => {
            if record.has_names() {
                tracing::warn!("container {} cannot resolve names of others: {}", record.id, failure.message);
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_containers_as_files_of_names_do() {
        let pair = |text: &str| {
            let Link { alias, container } = link(text);
            (container, alias)
        };
        assert_eq!(pair("web:db"), ("web".to_owned(), "db".to_owned()));
        assert_eq!(pair("/web:/db"), ("web".to_owned(), "db".to_owned()));
        assert_eq!(pair("web"), ("web".to_owned(), "web".to_owned()));
        let id = ContainerId::from_random([0xab; 32]);
        assert_eq!(pair(&format!("{id}:db")), ("abababababab".to_owned(), "db".to_owned()));
    }
}
