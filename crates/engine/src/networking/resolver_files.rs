//! The files by which a container knows names: hosts, hostname and resolv.conf.

use std::path::PathBuf;
use std::sync::PoisonError;

use model::NetworkMode;
use network::names::{HostLine, Hosts};

use super::service::Networking;
use crate::container::Record;
use crate::container::specification::full_hostname;
use crate::error::Error;

impl Networking {
    /// Writes hosts, hostname and resolv.conf before the start; the own address follows later.
    pub(crate) fn write_resolver_files(
        &self,
        record: &Record,
    ) -> Result<Vec<(PathBuf, &'static str)>, Error> {
        let directory = self.paths.container(&record.id);
        let path = |name: &str| directory.join(name);
        let hostname = network::names::hostname(&full_hostname(&record.settings));
        network::names::write_in_place(&path("hostname"), &hostname).map_err(Error::Network)?;
        self.write_hosts(record)?;
        let content = self.name_servers.resolv_conf(record)?;
        network::names::write_in_place(&self.paths.resolv_conf(&record.id), &content)
            .map_err(Error::Network)?;
        Ok(vec![
            (path("resolv.conf"), "/etc/resolv.conf"),
            (path("hostname"), "/etc/hostname"),
            (path("hosts"), "/etc/hosts"),
        ])
    }

    /// The resolver files of the container whose network another one joins.
    pub(crate) fn joined_resolver_files(&self, other: &Record) -> Vec<(PathBuf, &'static str)> {
        let directory = self.paths.container(&other.id);
        [("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts")]
            .map(|(name, destination)| (directory.join(name), destination))
            .into_iter()
            .filter(|(file, _)| file.exists())
            .collect()
    }

    pub(super) fn write_hosts(&self, record: &Record) -> Result<(), Error> {
        let gateway = self.network.ipv4().map(|host| host.address);
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
                addresses: own_addresses(record),
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

/// The addresses of a container, that of the network with the default route first.
fn own_addresses(record: &Record) -> Vec<std::net::IpAddr> {
    let mut endpoints: Vec<_> = record.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| endpoint.gateway_order());
    let leases = endpoints.into_iter().filter_map(|endpoint| endpoint.lease.as_ref());
    leases.flat_map(network::Endpoint::addresses).collect()
}
