//! Takes containers that run into networks and out of them: the interface, the default route, the published
//! ports and the hosts file follow at once. What fails is taken back.

use std::os::fd::{AsFd, BorrowedFd};

use model::{Attachment, EventAction};
use network::inside::Configurer;

use super::endpoints::{Place, published_ports};
use super::interface_names::InterfaceNames;
use super::service::Networking;
use super::{leases, relays};
use crate::container::{Container, Record};
use crate::endpoint::{self, Endpoint};
use crate::error::Error;
use crate::fault;
use crate::network_namespace;
use crate::networks::entry::NetworkEntry;

impl Networking {
    /// Takes a running container into a network; returns its place there. The caller holds its transition.
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
        let namespace = network_namespace::of(&record)?;
        let interface = InterfaceNames::of(&record.endpoints).next(entry, &attachment);
        let mut endpoint = Endpoint::asked(attachment);
        let configurer = Configurer::Engine;
        let place = Place { namespace: Some(namespace.as_fd()), ports: Vec::new(), interface, configurer };
        self.enter(&record, &mut endpoint, entry, place)?;
        let settled = fault::check("interface-configured").and_then(|()| {
            let added = endpoint.clone();
            // Saved before routes lead there: if the daemon dies, the next one has all it needs to settle them.
            let _ = container.update_saved(|record| record.endpoints.push(added)).1.wait_blocking();
            self.settle_gateway(container, Some(&record), None, namespace.as_fd())?;
            self.hosts_files.add_addresses(&record, &endpoint);
            fault::check("hosts-changed")
        });
        if let Err(error) = settled {
            let leave = |record: &mut Record| record.endpoints.retain(|other| other.id != endpoint.id);
            container.update_saved(leave).1.forget();
            self.hosts_files.remove_addresses(&record, &endpoint);
            let undone = self.settle_gateway(container, None, Some(&endpoint), namespace.as_fd());
            if let Err(undo) = undone {
                tracing::error!("cannot restore the routes of container {}: {undo}", record.id);
            }
            self.leave_at_once(&record, &endpoint, Some(namespace.as_fd()));
            return Err(error);
        }
        entry.emit(&self.events, EventAction::Connect, Some(&record.id));
        Ok(endpoint)
    }

    /// Takes a running container out of a network. The caller holds its transition.
    ///
    /// # Errors
    /// The kernel's refusal; the container is as it was then.
    pub(crate) fn disconnect_running(&self, container: &Container, endpoint: &Endpoint) -> Result<(), Error> {
        let record = container.record();
        let namespace = match network_namespace::of(&record) {
            // Its end will find it out of the network.
            Err(Error::NotRunning(_)) => None,
            namespace => Some(namespace?),
        };
        let namespace = namespace.as_ref().map(AsFd::as_fd);
        // Before anything is saved: the next daemon has the addresses of networks that the container is in, not of
        // those that it has left.
        self.hosts_files.remove_addresses(&record, endpoint);
        // Its published ports there may have changed since the caller read them.
        let is_other = |other: &Endpoint| (&other.id, &other.name) != (&endpoint.id, &endpoint.name);
        container.publish(|record| record.endpoints.retain(is_other));
        let led = fault::check("hosts-changed").and_then(|()| match namespace {
            Some(namespace) => self.settle_gateway(container, Some(&record), Some(endpoint), namespace),
            None => Ok(()),
        });
        if let Err(error) = led {
            container.update(|record| record.endpoints.push(endpoint.clone()));
            self.hosts_files.add_addresses(&record, endpoint);
            if let Some(Err(undo)) =
                namespace.map(|namespace| self.settle_gateway(container, None, None, namespace))
            {
                tracing::error!("cannot restore the routes of container {}: {undo}", record.id);
            }
            return Err(error);
        }
        // Saved before the interface is removed: a left-over one then has no owner, and the next daemon removes it.
        let _ = leases::save(&self.registry, container).wait_blocking();
        self.leave_at_once(&record, endpoint, namespace);
        if let Ok(entry) = self.registry.of_endpoint(endpoint) {
            entry.emit(&self.events, EventAction::Disconnect, Some(&record.id));
        }
        Ok(())
    }

    /// Sets a container's default routes and published ports as its record has them, and updates its addresses in its
    /// hosts file: the last daemon may have died while it changed them. The caller holds its transition.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(crate) fn settle_running(&self, container: &Container) -> Result<(), Error> {
        let record = container.record();
        let namespace = network_namespace::of(&record)?;
        let leases = record.endpoints.iter().filter_map(|endpoint| endpoint.lease.as_ref());
        let interfaces: Vec<&str> = leases.map(|lease| lease.interface_name.as_str()).collect();
        let routes = default_routes(&record);
        network::inside::restore_default_routes(namespace.as_fd(), routes, &interfaces)
            .map_err(Error::Network)?;
        self.hosts_files.add_missing_addresses(&record);
        settle_ports(self, container, None)
    }

    /// Leads the default routes and the published ports to the endpoint that gives the gateway now. `left` is the
    /// endpoint that the container is about to leave. The routes lead as they should where they are those of `before`.
    fn settle_gateway(
        &self,
        container: &Container,
        before: Option<&Record>,
        left: Option<&Endpoint>,
        namespace: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let record = container.record();
        let routes = default_routes(&record);
        if before.is_none_or(|before| default_routes(before) != routes) {
            network::inside::set_default_routes(namespace, routes).map_err(Error::Network)?;
        }
        fault::check("default-routes")?;
        settle_ports(self, container, left)
    }

    /// Takes the container out of the network, its interface first.
    pub(super) fn leave_at_once(
        &self,
        record: &Record,
        endpoint: &Endpoint,
        namespace: Option<BorrowedFd<'_>>,
    ) {
        if let Ok(entry) = self.registry.of_endpoint(endpoint)
            && let (Some(live), Some(namespace)) = (entry.live(), namespace)
            && let Err(error) = live.remove_interface(&record.id, namespace)
        {
            tracing::error!("cannot remove the interface of container {}: {error}", record.id);
        }
        self.leave(&record.id, endpoint);
    }
}

/// Leads the published ports to the endpoint that gives the gateway now.
fn settle_ports(
    networking: &Networking,
    container: &Container,
    left: Option<&Endpoint>,
) -> Result<(), Error> {
    let record = container.record();
    let gateway = record.gateway();
    let live = |endpoint: &Endpoint| Some(networking.registry.of_endpoint(endpoint).ok()?.live()?.clone());
    // The record may not yet have what a failed change has moved.
    let has_ports = |endpoint: &&Endpoint| {
        let lease = live(endpoint).and_then(|live| live.endpoint(&record.id));
        lease.is_some_and(|lease| !lease.ports.is_empty())
    };
    let holder = record.endpoints.iter().chain(left).find(has_ports);
    if holder.map(|endpoint| &endpoint.id) == gateway.map(|endpoint| &endpoint.id) {
        return Ok(());
    }
    let requests = published_ports(&record)?;
    if holder.is_none() && requests.is_empty() {
        return Ok(());
    }
    let held = holder.and_then(live).map(|live| (live.publishing(), live.take_ports(&record.id)));
    let Some(next) = gateway.and_then(live) else {
        if let Some((_, held)) = held {
            let held = held.map_err(Error::Network)?;
            networking.network.release_ports(held).map_err(Error::Network)?;
        }
        leases::save(&networking.registry, container).forget();
        return Ok(());
    };
    let held = match held {
        Some((publishing, held)) if publishing == next.publishing() => held,
        Some((_, held)) => {
            // Another network publishes otherwise, at more addresses or fewer, or itself what the shim relayed.
            tokio::runtime::Handle::current().block_on(relays::stop(container))?;
            networking.network.release_ports(held.map_err(Error::Network)?).map_err(Error::Network)?;
            next.hold_ports(&requests)
        }
        None => next.hold_ports(&requests),
    };
    let held = held.map_err(Error::Network)?;
    next.give_ports(&record.id, held).map_err(Error::Network)?;
    fault::check("ports-moved")?;
    leases::save(&networking.registry, container).forget();
    Ok(())
}

/// Where the default routes of a container lead.
fn default_routes(record: &Record) -> network::inside::DefaultRoutes<'_> {
    network::inside::DefaultRoutes {
        ipv4: endpoint::ipv4_default_route(&record.endpoints),
        ipv6: endpoint::ipv6_default_route(&record.endpoints),
    }
}

/// Whether the process of a container that is to run has ended.
pub(crate) fn has_ended(record: &Record) -> bool {
    matches!(network_namespace::of(record), Err(Error::NotRunning(_)))
}
