//! A container's places in its networks, from the reservation of addresses to their return.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use model::{
    Attachment, BoundPort, Capability, ContainerId, EndpointId, EventAction, HardwareAddress,
    InterfaceConfig, NetworkDriver, Port,
};
use network::SourceCheck;
use network::inside::Configurer;
use network::port::PortRequest;

use super::interface_names::InterfaceNames;
use super::links::exposed;
use super::service::Networking;
use super::{attachments, leases};
use crate::container::{Container, Record, capabilities};
use crate::endpoint::{self, Endpoint};
use crate::error::Error;
use crate::fault;
use crate::networks::entry::NetworkEntry;
use crate::networks::registry::NetworkRegistry;
use crate::outcome::joined;
use crate::random;

/// The length of the prefix of link-local addresses, RFC 3927.
const LINK_LOCAL_PREFIX: u8 = 16;
/// The same of IPv6, RFC 4291.
const IPV6_LINK_LOCAL_PREFIX: u8 = 64;

impl Networking {
    /// Reserves the container's addresses and ports, makes its interfaces, and writes its hosts file. Gives the
    /// interface that init configures; the others are configured here.
    pub(crate) async fn connect_network(
        self: &Arc<Self>,
        container: &Arc<Container>,
        namespace: Option<OwnedFd>,
    ) -> Result<Option<InterfaceConfig>, Error> {
        if has_no_interfaces(&self.registry, &container.record()) {
            self.wire(container, None)?;
            return Ok(None);
        }
        let namespace = Arc::new(namespace);
        let wire = || {
            let (networking, own, namespace) =
                (Arc::clone(self), Arc::clone(container), Arc::clone(&namespace));
            tokio::task::spawn_blocking(move || {
                networking.wire(&own, namespace.as_ref().as_ref().map(AsFd::as_fd))?;
                let record = own.record();
                match record.endpoints.iter().any(|endpoint| endpoint.lease.is_some()) {
                    true => networking.write_hosts(&record),
                    false => Ok(()),
                }
            })
        };
        match joined(wire().await)? {
            Err(Error::Network(error)) if error.is_about_what_others_hold() => {
                // A container that has ended may still have it for a moment.
                self.until_ports_are_free().await;
                joined(wire().await)??;
            }
            result => result?,
        }
        Ok(first_interface(&container.record()).map(network::Endpoint::interface))
    }

    /// Waits until the addresses and ports of containers that have ended are free.
    pub(crate) async fn until_ports_are_free(&self) {
        drop(self.endings.write().await);
    }

    /// Connects the container to its networks, and waits until that is saved, so that whatever happens to
    /// this daemon the next one has the addresses' owner on record. A failure undoes all of it.
    fn wire(&self, container: &Container, namespace: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let record = container.record();
        let mut endpoints = record.endpoints.clone();
        for endpoint in &mut endpoints {
            let entry = self.registry.of_endpoint(endpoint)?;
            entry.describe_in(endpoint);
        }
        endpoints.sort_by_key(Endpoint::gateway_order);
        let mut names = InterfaceNames::default();
        let mut ports = published_ports(&record)?;
        let mut wired = Ok(());
        for (index, endpoint) in endpoints.iter_mut().enumerate() {
            let own_ports = if endpoint.internal { Vec::new() } else { std::mem::take(&mut ports) };
            wired = self.registry.of_endpoint(endpoint).and_then(|entry| {
                let place = Place {
                    namespace,
                    ports: own_ports,
                    interface: names.next(&entry, &endpoint.attachment),
                    configurer: if index == 0 { Configurer::Init } else { Configurer::Engine },
                };
                self.enter(&record, endpoint, &entry, place)
            });
            if wired.is_err() {
                break;
            }
        }
        let wired = wired.and_then(|()| lead(namespace, &endpoints));
        let wired = wired.and_then(|()| {
            let is_on_bridge =
                endpoints.iter().any(|endpoint| endpoint.is_bridge() && endpoint.lease.is_some());
            let ports = self.links.ports(&record);
            match is_on_bridge && !ports.is_empty() {
                true => self.network.open_link(&record.id, &ports).map_err(Error::Network),
                false => Ok(()),
            }
        });
        let endpoints_have_leases = endpoints.iter().any(|endpoint| endpoint.lease.is_some());
        match wired {
            Ok(()) => {
                let put = |record: &mut Record| {
                    record.endpoints = endpoints;
                    leases::refresh(&self.registry, record);
                };
                if endpoints_have_leases {
                    // On a full disk it is tried again: the container runs meanwhile.
                    let _ = container.update_saved(put).1.wait_blocking();
                } else {
                    // The row of its start has them: no other container can get their addresses.
                    container.publish(put);
                }
                for endpoint in &container.record().endpoints {
                    if let Ok(entry) = self.registry.of_endpoint(endpoint) {
                        entry.emit(&self.events.before_a_row(), EventAction::Connect, Some(&record.id));
                    }
                }
                Ok(())
            }
            Err(error) => {
                for endpoint in endpoints.iter().rev() {
                    self.leave(&record.id, endpoint);
                }
                Err(error)
            }
        }
    }

    /// Takes a container into one network: an address, its interface, ports that are published there, its names.
    pub(super) fn enter(
        &self,
        record: &Record,
        endpoint: &mut Endpoint,
        entry: &NetworkEntry,
        place: Place<'_>,
    ) -> Result<(), Error> {
        entry.enter(&record.id)?;
        let place_namespace = place.namespace;
        let lease = lease(record, endpoint, entry, place);
        let lease = lease.inspect_err(|_| {
            entry.leave(&record.id);
        })?;
        if let (Some(lease), Some(namespace)) = (&lease, place_namespace)
            && let Err(error) = apply_options(namespace, &endpoint.attachment, lease)
        {
            endpoint.network = Some(entry.record.id.clone());
            self.leave_at_once(record, endpoint, place_namespace);
            return Err(error);
        }
        endpoint.network = Some(entry.record.id.clone());
        entry.describe_in(endpoint);
        endpoint.id = Some(EndpointId::from_random(random::bytes()));
        endpoint.lease = lease;
        if let (Some(names), Some(named)) = (entry.names(), record.named_in(endpoint))
            && let Err(error) = names.set(&record.id, named).and_then(|()| fault::check("names-written"))
        {
            self.leave_at_once(record, endpoint, place_namespace);
            return Err(error);
        }
        Ok(())
    }

    /// Removes a container from one network, as far as it was set up there; returns whether it was in it.
    pub(super) fn leave(&self, container: &ContainerId, endpoint: &Endpoint) -> bool {
        let Ok(entry) = self.registry.of_endpoint(endpoint) else { return false };
        if let Some(names) = entry.names()
            && let Err(error) = names.forget(container)
        {
            tracing::error!("container {container} has its names in {} still: {error}", entry.name());
        }
        if let Some(live) = entry.live()
            && let Err(error) = live.disconnect(container)
        {
            tracing::error!("cannot disconnect container {container} from {}: {error}", entry.name());
        }
        entry.leave(container)
    }

    /// Gives back what [`Self::connect_network`] took, whatever of it there is.
    pub(crate) async fn disconnect_network(self: &Arc<Self>, container: &Arc<Container>) {
        if has_no_interfaces(&self.registry, &container.record()) {
            self.leave_all(container);
            return;
        }
        let (networking, own) = (Arc::clone(self), Arc::clone(container));
        // A failure is in the log.
        let _ = tokio::task::spawn_blocking(move || networking.leave_all(&own)).await;
    }

    fn leave_all(&self, container: &Container) {
        for endpoint in container.record().endpoints.iter().rev() {
            if self.leave(container.id(), endpoint)
                && let Ok(entry) = self.registry.of_endpoint(endpoint)
            {
                entry.emit(&self.events.before_a_row(), EventAction::Disconnect, Some(container.id()));
            }
        }
    }
}

/// Whether no network of a container gives it an interface, an address or a name: what there is to do then waits for
/// nothing.
fn has_no_interfaces(registry: &NetworkRegistry, record: &Record) -> bool {
    record.endpoints.iter().all(|endpoint| {
        registry.of_endpoint(endpoint).is_ok_and(|entry| entry.live().is_none() && entry.names().is_none())
    })
}

/// Leads the default routes that init does not: that of IPv6, and that of IPv4 where it leads to no gateway of the first
/// interface.
fn lead(namespace: Option<BorrowedFd<'_>>, endpoints: &[Endpoint]) -> Result<(), Error> {
    let Some(namespace) = namespace else { return Ok(()) };
    let of_init = endpoints.first().and_then(|endpoint| endpoint.lease.as_ref()?.default_gateway());
    let ipv4 = endpoint::ipv4_default_route(endpoints).filter(|_| of_init.is_none());
    let routes = network::inside::DefaultRoutes { ipv4, ipv6: endpoint::ipv6_default_route(endpoints) };
    match (routes.ipv4, routes.ipv6) {
        (None, None) => Ok(()),
        _ => network::inside::add_default_routes(namespace, routes).map_err(Error::Network),
    }
}

/// Where a container comes into a network.
pub(super) struct Place<'n> {
    /// Its network namespace; `None` with the host's, or that of another container.
    pub(super) namespace: Option<BorrowedFd<'n>>,
    /// The ports to publish there.
    pub(super) ports: Vec<PortRequest>,
    /// The name of its interface inside.
    pub(super) interface: String,
    pub(super) configurer: Configurer,
}

/// The lease of the container in the network; `None` for a network without leases.
fn lease(
    record: &Record,
    endpoint: &Endpoint,
    entry: &NetworkEntry,
    place: Place<'_>,
) -> Result<Option<network::Endpoint>, Error> {
    let Some(namespace) = place.namespace else { return Ok(None) };
    let live = match (entry.driver(), entry.live()) {
        (NetworkDriver::Host | NetworkDriver::Null, _) => return Ok(None),
        (_, Some(live)) => live,
        (_, None) => {
            return Err(Error::refused(format!("the network {} could not be opened", entry.name())));
        }
    };
    if !live.has_addresses() && place.ports.is_empty() {
        return Ok(None);
    }
    let asked = endpoint.attachment.addresses.as_ref();
    let request = network::Request {
        container: record.id.clone(),
        address: asked.and_then(|asked| asked.ipv4),
        ipv6_address: asked.and_then(|asked| asked.ipv6),
        mac: hardware_address(record, endpoint)?,
        interface_name: place.interface,
        source_check: source_check(record),
        ports: place.ports,
    };
    let lease = live.reserve(&request).map_err(Error::Network)?;
    match live.connect(&request.container, namespace, place.configurer) {
        // The hardware address may be the parent's.
        Ok(()) => Ok(live.endpoint(&request.container).or(Some(lease))),
        Err(error) => {
            if let Err(undo) = live.disconnect(&request.container) {
                tracing::error!("cannot undo the interface of container {}: {undo}", request.container);
            }
            Err(Error::Network(error))
        }
    }
}

/// Further addresses and kernel settings of the interface.
fn apply_options(
    namespace: BorrowedFd<'_>,
    attachment: &Attachment,
    lease: &network::Endpoint,
) -> Result<(), Error> {
    let interface = lease.interface_name.as_str();
    for address in attachment.addresses.iter().flat_map(|asked| &asked.link_local) {
        match *address {
            IpAddr::V4(address) => {
                let address = network::InterfaceAddress { address, prefix_length: LINK_LOCAL_PREFIX };
                network::inside::add_address(namespace, interface, address)
            }
            IpAddr::V6(address) => {
                let address = network::InterfaceAddress { address, prefix_length: IPV6_LINK_LOCAL_PREFIX };
                network::inside::add_address(namespace, interface, address)
            }
        }
        .map_err(Error::Network)?;
    }
    let Some(options) = &attachment.driver_options else { return Ok(()) };
    for attachments::InterfaceSetting { path, value } in attachments::sysctls(options)? {
        let path = path.replace("IFNAME", interface);
        network::inside::set(namespace, &path, &value).map_err(Error::Network)?;
    }
    fault::check("endpoint-options")
}

/// The interface that init configures.
fn first_interface(record: &Record) -> Option<&network::Endpoint> {
    let mut endpoints: Vec<&Endpoint> = record.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| endpoint.gateway_order());
    endpoints.first()?.lease.as_ref()
}

/// A container's saved lease in a network, with the restrictions of its settings on what it may send: rows of
/// earlier releases do not have them.
pub(crate) fn saved_lease(record: &Record, lease: &network::Endpoint) -> network::Endpoint {
    network::Endpoint { source_check: source_check(record), ..lease.clone() }
}

/// The check of a container's source addresses: one that may change its own network may be a router for
/// others.
fn source_check(record: &Record) -> SourceCheck {
    match capabilities::has(&record.settings.host, Capability::NetAdmin) {
        true => SourceCheck::Loose,
        false => SourceCheck::Strict,
    }
}

/// The hardware address that a container requests: that of `Config` counts where the endpoint names no other.
fn hardware_address(record: &Record, endpoint: &Endpoint) -> Result<Option<network::MacAddress>, Error> {
    match (endpoint.attachment.mac, &*record.settings.mac_address) {
        (Some(mac), _) => Ok(Some(mac)),
        (None, HardwareAddress::Derived) => Ok(None),
        (None, _) if record.endpoints.len() > 1 => Ok(None),
        (None, HardwareAddress::Address(mac)) => Ok(Some(*mac)),
        (None, HardwareAddress::Unusable(error)) => Err(Error::refused(error.to_string())),
    }
}

/// The published ports of a container.
pub(super) fn published_ports(record: &Record) -> Result<Vec<PortRequest>, Error> {
    let bindings = record.settings.host.port_bindings.clone().unwrap_or_default();
    let mut exposed: BTreeSet<Port> = exposed(record);
    exposed.extend(bindings.keys().filter_map(|port| match **port {
        BoundPort::Port(port) => Some(port),
        BoundPort::UnknownProtocol(_) | BoundPort::Nothing => None,
    }));
    network::port::plan(&exposed, &bindings, record.settings.host.publish_all_ports)
        .map_err(|error| Error::refused(error.to_string()))
}
