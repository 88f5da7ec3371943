//! A container's files for names: hosts, hostname and resolv.conf.

use std::path::{Path, PathBuf};

use model::NetworkMode;
use network::names::{HostLine, Hosts};

use super::service::Networking;
use crate::container::Record;
use crate::container::specification::full_hostname;
use crate::error::Error;

impl Networking {
    /// Writes hosts, hostname and resolv.conf before the start; the own address follows later. Blocks.
    pub(crate) fn write_resolver_files(&self, record: &Record) -> Result<(), Error> {
        let hostname = network::names::hostname(&full_hostname(&record.settings));
        let path = self.paths.container(&record.id).join("hostname");
        network::names::write_in_place(&path, &hostname).map_err(Error::Network)?;
        self.write_hosts(record)?;
        let content = self.name_servers.resolv_conf(record)?;
        network::names::write_in_place(&self.paths.resolv_conf(&record.id), &content).map_err(Error::Network)
    }

    /// The resolver files of a container, and where it and those that join its network have them.
    pub(crate) fn resolver_files(&self, record: &Record) -> [(PathBuf, &'static str); 3] {
        let directory = self.paths.container(&record.id);
        [("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts")]
            .map(|(name, destination)| (directory.join(name), destination))
    }

    /// A container's resolver files as far as they exist: of one whose network another one joins, or that has run.
    pub(crate) fn written_resolver_files(&self, record: &Record) -> Vec<(PathBuf, &'static str)> {
        let files = self.resolver_files(record).into_iter();
        files.filter(|(file, _)| file.exists()).collect()
    }

    pub(super) fn write_hosts(&self, record: &Record) -> Result<(), Error> {
        let gateway = self.network.ipv4().map(|host| host.address);
        let extra = record.settings.host.extra_hosts.iter().flatten();
        let extra: Vec<_> = extra
            .map(|host| HostLine::of(host, gateway))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::refused(error.to_string()))?;
        self.hosts_files.write(record, || {
            if record.settings.host.network_mode == NetworkMode::Host {
                let host = network::names::host_hosts(Path::new("/etc/hosts")).map_err(Error::Network)?;
                return Ok(network::names::host_network_hosts(&host, &extra));
            }
            let hosts = Hosts {
                addresses: record.own_addresses(),
                hostname: record.settings.hostname.clone(),
                domainname: record.settings.domainname.clone(),
                extra,
                links: self.links.hosts(record),
            };
            Ok(hosts.content())
        })
    }
}
