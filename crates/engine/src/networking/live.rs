//! Takes containers that run into networks and out of them: the interface, the default route, the published
//! ports and the hosts file follow at once. What fails is taken back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use model::Attachment;

use super::endpoints::{Place, published_ports};
use super::interface_names::InterfaceNames;
use super::service::Networking;
use crate::container::{Container, Record};
use crate::endpoint::{self, Endpoint};
use crate::error::{Error, file_error};
use crate::networks::entry::NetworkEntry;

impl Networking {
    /// Takes a running container into a network; gives its place there. The caller holds its transition.
    ///
    /// # Errors
    /// An address that is in use, the kernel's refusal; the container is as it was then.
    pub(crate) fn connect_running(
        &self,
        container: &Container,
        attachment: Attachment,
        entry: &NetworkEntry,
    ) -> Result<Endpoint, Error> {
        let record = container.record();
        let namespace = namespace_of(&record)?;
        let interface = InterfaceNames::of(&record.endpoints).next(entry, &attachment)?;
        let mut endpoint = Endpoint::asked(attachment);
        let place = Place { namespace: Some(namespace.as_fd()), ports: Vec::new(), interface };
        self.enter(&record, &mut endpoint, entry, place)?;
        let entered = match &endpoint.lease {
            Some(lease) => network::inside::configure(namespace.as_fd(), lease).map_err(Error::Network),
            None => Ok(()),
        };
        let settled = entered.and_then(|()| {
            let added = endpoint.clone();
            container.update(|record| record.endpoints.push(added));
            self.settle_gateway(container, None, namespace.as_fd())
        });
        if let Err(error) = settled {
            container.update(|record| record.endpoints.retain(|other| other.id != endpoint.id));
            if let Err(undo) = self.settle_gateway(container, Some(&endpoint), namespace.as_fd()) {
                tracing::error!("cannot lead container {} as before: {undo}", record.id);
            }
            self.leave_at_once(&record, &endpoint);
            return Err(error);
        }
        self.note_own_address(&record, &endpoint, |content, address| {
            let settings = &record.settings;
            network::names::with_own_address(content, address, &settings.hostname, &settings.domainname)
        });
        entry.emit(&self.events, "connect", Some(&record.id));
        Ok(endpoint)
    }

    /// Takes a running container out of a network. The caller holds its transition.
    ///
    /// # Errors
    /// The kernel's refusal; the container is as it was then.
    pub(crate) fn disconnect_running(&self, container: &Container, endpoint: &Endpoint) -> Result<(), Error> {
        let record = container.record();
        let namespace = namespace_of(&record)?;
        container.update(|record| record.endpoints.retain(|other| other != endpoint));
        if let Err(error) = self.settle_gateway(container, Some(endpoint), namespace.as_fd()) {
            container.update(|record| record.endpoints.push(endpoint.clone()));
            if let Err(undo) = self.settle_gateway(container, None, namespace.as_fd()) {
                tracing::error!("cannot lead container {} as before: {undo}", record.id);
            }
            return Err(error);
        }
        self.leave_at_once(&record, endpoint);
        self.note_own_address(&record, endpoint, network::names::without_own_address);
        if let Ok(entry) = self.registry.of_endpoint(endpoint) {
            entry.emit(&self.events, "disconnect", Some(&record.id));
        }
        Ok(())
    }

    /// Leads the default route and the published ports to the endpoint that gives the gateway now. `left` is the
    /// endpoint that the container is about to leave.
    fn settle_gateway(
        &self,
        container: &Container,
        left: Option<&Endpoint>,
        namespace: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let record = container.record();
        let gateway = record.gateway();
        let routes = network::inside::DefaultRoutes {
            ipv4: endpoint::ipv4_default_route(&record.endpoints),
            ipv6: endpoint::ipv6_default_route(&record.endpoints),
        };
        network::inside::set_default_routes(namespace, routes).map_err(Error::Network)?;
        let has_ports =
            |endpoint: &&Endpoint| endpoint.lease.as_ref().is_some_and(|lease| !lease.ports.is_empty());
        let holder = record.endpoints.iter().chain(left).find(has_ports);
        if holder.map(|endpoint| &endpoint.id) == gateway.map(|endpoint| &endpoint.id) {
            return Ok(());
        }
        let live = |endpoint: &Endpoint| Some(self.registry.of_endpoint(endpoint).ok()?.live()?.clone());
        let requests = published_ports(&record)?;
        let held = holder.and_then(live).map(|live| (live.publishing(), live.take_ports(&record.id)));
        let Some(next) = gateway.and_then(live) else {
            if let Some((_, held)) = held {
                let held = held.map_err(Error::Network)?;
                self.network.release_ports(held).map_err(Error::Network)?;
            }
            self.save_leases(container).forget();
            return Ok(());
        };
        let held = match held {
            Some((publishing, held)) if publishing == next.publishing() => held,
            Some((_, held)) => {
                // Another network publishes otherwise, at more addresses or fewer.
                self.network.release_ports(held.map_err(Error::Network)?).map_err(Error::Network)?;
                next.hold_ports(&requests)
            }
            None => next.hold_ports(&requests),
        };
        let held = held.map_err(Error::Network)?;
        next.give_ports(&record.id, held).map_err(Error::Network)?;
        self.save_leases(container).forget();
        Ok(())
    }

    /// Takes the container out of the network, its interface first.
    fn leave_at_once(&self, record: &Record, endpoint: &Endpoint) {
        if let Ok(entry) = self.registry.of_endpoint(endpoint)
            && let Some(live) = entry.live()
            && let Err(error) = live.remove_interface(&record.id)
        {
            tracing::error!("cannot remove the interface of container {}: {error}", record.id);
        }
        self.leave(&record.id, endpoint);
    }

    fn note_own_address(
        &self,
        record: &Record,
        endpoint: &Endpoint,
        change: impl Fn(&[u8], std::net::IpAddr) -> Vec<u8>,
    ) {
        if let Some(lease) = &endpoint.lease {
            self.change_hosts(record, |content| {
                // That of IPv4 stands first.
                let addresses: Vec<_> = lease.addresses().collect();
                addresses.iter().rev().fold(content.to_vec(), |content, address| change(&content, *address))
            });
        }
    }
}

/// The network namespace of a container that runs.
fn namespace_of(record: &Record) -> Result<OwnedFd, Error> {
    let not_running = || Error::NotRunning(record.id.to_string());
    let process = record.phase.process().ok_or_else(not_running)?;
    let path = std::path::PathBuf::from(format!("/proc/{}/ns/net", process.pid));
    let namespace = std::fs::File::open(&path).map_err(file_error("open", &path))?;
    // Another process has had the number only if it has it still.
    if sys::process::is_alive(process.pid, process.start_time) {
        Ok(namespace.into())
    } else {
        Err(not_running())
    }
}
