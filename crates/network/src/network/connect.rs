//! Connects a container that has a reservation, and disconnects it.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use model::ContainerId;
use rustix::io::Errno;

use super::inside::{Configurer, within};
use super::restored_bridge::Restored;
use super::{Active, Bridge, Entry, InterfaceState, Leases, Network, bridge, switches};
use crate::endpoint::{Endpoint, LinkException, LinkedPort};
use crate::error::Error;
use crate::fault::Step;
use crate::firewall::{Content, Firewall};
use crate::route::{Attachment, Interface, Pair, Routing};
use crate::subnet::InterfaceAddress;

/// A Linux bridge numbers its ports from 1 to 1,023 (`BR_MAX_PORTS`).
const MOST_BRIDGE_PORTS: usize = 1023;

impl Network {
    /// Makes the container's interface, its other end born in `namespace` (a network namespace), and
    /// opens its published ports. What a failure leaves is undone; the reservation stays.
    ///
    /// # Errors
    /// The kernel's refusal; a container without a reservation.
    pub fn connect(
        &self,
        container: &ContainerId,
        namespace: BorrowedFd<'_>,
        configurer: Configurer,
    ) -> Result<(), Error> {
        if let Some(own) = &self.on_parent {
            return own.connect(container, namespace, configurer);
        }
        let active = self.active()?;
        let (endpoint, ports) = {
            let book = active.book();
            let entry =
                book.endpoints.get(container).ok_or_else(|| Error::NotConnected(container.clone()))?;
            if entry.interface != InterfaceState::Missing {
                return Err(Error::Connected(container.clone()));
            }
            let ports =
                book.endpoints.values().filter(|entry| entry.interface == InterfaceState::Port).count();
            (entry.endpoint.clone(), ports)
        };
        let interface = active.create_interface(&endpoint, namespace, ports).or_else(|error| match active
            .restore_bridge()?
        {
            Restored::Bridge => active.create_interface(&endpoint, namespace, ports),
            Restored::Nothing => Err(error),
        })?;
        // Recorded first: should the firewall be rebuilt meanwhile, it has this endpoint too.
        active.note_interface(container, interface);
        let result = active
            .carry(&endpoint, interface, namespace, configurer)
            .and_then(|()| active.open_firewall(&endpoint, interface))
            .map_err(|error| active.delete_interface_after(&endpoint, error));
        if result.is_err() {
            active.note_interface(container, InterfaceState::Missing);
        }
        result
    }

    /// Lets one container reach ports of others while `--icc=false`; without it does nothing. The exceptions belong to
    /// the endpoint of `container` and are removed with it, and with that of the container they lead to; one that has
    /// no address of IPv4 here now gets none.
    ///
    /// # Errors
    /// The kernel's refusal; a container without an endpoint.
    pub fn open_link(&self, container: &ContainerId, ports: &[LinkedPort]) -> Result<(), Error> {
        let active = self.active()?;
        // Held until both have the exceptions: removing an endpoint withdraws those in the address table.
        let mut firewall = active.host.firewall();
        let new: Vec<LinkException> = {
            let mut book = active.book();
            let wanted = book.exceptions(container, ports)?;
            let entry =
                book.endpoints.get_mut(container).ok_or_else(|| Error::NotConnected(container.clone()))?;
            let known = &mut entry.endpoint.exceptions;
            let new = wanted.into_iter().filter(|exception| !known.contains(exception)).collect::<Vec<_>>();
            known.extend(&new);
            new
        };
        let Some(firewall) = &mut firewall else { return Ok(()) };
        let opened = active.add_rules(firewall, &Content { exceptions: new.clone(), ..Content::default() });
        if opened.is_err()
            && let Some(entry) = active.book().endpoints.get_mut(container)
        {
            entry.endpoint.exceptions.retain(|exception| !new.contains(exception));
        }
        opened
    }

    /// Takes back all exceptions that [`Network::open_link`] made for the ports of `target`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn close_link(&self, container: &ContainerId, target: &ContainerId) -> Result<(), Error> {
        let active = self.active()?;
        let firewall = active.host.firewall();
        let gone: Vec<LinkException> = {
            let mut book = active.book();
            let Some(target) = book.endpoints.get(target) else { return Ok(()) };
            let there: Vec<IpAddr> = target.endpoint.addresses().collect();
            let Some(entry) = book.endpoints.get_mut(container) else { return Ok(()) };
            entry.endpoint.exceptions.extract_if(.., |exception| there.contains(&exception.to)).collect()
        };
        match firewall {
            Some(mut firewall) => firewall.withdraw(&Content { exceptions: gone, ..Content::default() }),
            None => Ok(()),
        }
    }

    /// Removes the interface of a container that runs on, before [`Network::disconnect`] takes the rest away. Then it is gone
    /// from the container.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn remove_interface(&self, container: &ContainerId, namespace: BorrowedFd<'_>) -> Result<(), Error> {
        let Some(endpoint) = self.endpoint(container) else { return Ok(()) };
        if self.on_parent.is_some() {
            return within(namespace, |routing| routing.delete_interface(&endpoint.interface_name));
        }
        self.active()?.host.faults.pass(Step::RemoveInterface)?;
        // By the host's end, which no process of the container can rename. The kernel takes some 20 ms, so others do not
        // wait for this socket.
        Routing::open()?.delete_interface(&endpoint.host_interface)
    }

    /// Takes everything of the container away: published ports, tracked connections, held ports,
    /// address; the interface goes a moment later. Does nothing for a container that has no endpoint.
    ///
    /// # Errors
    /// What could not be removed; the rest is gone all the same.
    pub fn disconnect(&self, container: &ContainerId) -> Result<(), Error> {
        if let Some(own) = &self.on_parent {
            return own.disconnect(container);
        }
        let Some(active) = &self.active else { return Ok(()) };
        let (entry, exceptions) = {
            let mut book = active.book();
            let Some(entry) = book.endpoints.remove(container) else { return Ok(()) };
            let own: Vec<IpAddr> = entry.endpoint.addresses().collect();
            let names =
                |exception: &mut LinkException| own.contains(&exception.from) || own.contains(&exception.to);
            let mut exceptions = entry.endpoint.exceptions.clone();
            for other in book.endpoints.values_mut() {
                exceptions.extend(other.endpoint.exceptions.extract_if(.., names));
            }
            (entry, exceptions)
        };
        let mut errors = active.take_away(&entry, exceptions);
        let mut book = active.book();
        Leases { ipv4: entry.endpoint.ipv4, ipv6: entry.endpoint.ipv6 }.release(&mut book);
        active.host.ports().release(entry.held);
        active.host.interface_names.free(&entry.endpoint.host_interface);
        if errors.is_empty() { Ok(()) } else { Err(errors.remove(0).with(errors)) }
    }
}

impl Active {
    fn note_interface(&self, container: &ContainerId, interface: InterfaceState) {
        if let Some(entry) = self.book().endpoints.get_mut(container) {
            entry.interface = interface;
        }
    }

    /// Adds elements; a table that was removed is made again first.
    pub(super) fn add_rules(&self, firewall: &mut Firewall, content: &Content) -> Result<(), Error> {
        match firewall.add(content) {
            Err(Error::Firewall { source }) if source.is(Errno::NOENT) => {
                firewall.rebuild(self.host.content())?;
                firewall.add(content)
            }
            result => result,
        }
    }

    /// Makes the interface as a port of the bridge, or beside it where ports must not meet or the
    /// bridge is full.
    fn create_interface(
        &self,
        endpoint: &Endpoint,
        namespace: BorrowedFd<'_>,
        ports: usize,
    ) -> Result<InterfaceState, Error> {
        let mut pair = Pair {
            name: &endpoint.host_interface,
            inside: &endpoint.interface_name,
            mac: endpoint.mac,
            mtu: self.mtu,
            group: self.group,
            attachment: Attachment::Bridge(self.bridge.index()),
            namespace,
        };
        if self.communicate && ports < MOST_BRIDGE_PORTS {
            match self.create_pair(&pair) {
                Ok(()) => return Ok(InterfaceState::Port),
                Err(Error::Interface { source, .. }) if source.is(Errno::XFULL) => {}
                Err(error) => return Err(error),
            }
        }
        pair.attachment = Attachment::Routed;
        self.create_pair(&pair)?;
        self.route_interface(endpoint).map_err(|error| self.delete_interface_after(endpoint, error))?;
        Ok(InterfaceState::Routed)
    }

    /// An interface of the same name can only be a leftover: of this container's last run, in a namespace
    /// that others still use, or of another daemon. It is replaced.
    fn create_pair(&self, pair: &Pair<'_>) -> Result<(), Error> {
        let mut routing = self.host.routing();
        match routing.create_pair(pair) {
            Err(Error::Interface { source, .. }) if source.is(Errno::EXIST) && source.position == Some(0) => {
                self.host.reaper.remove_now(&mut routing)?;
                routing.delete_interface(pair.name)?;
                routing.create_pair(pair)
            }
            Err(Error::Interface { source, .. }) if source.position != Some(0) => {
                let failure = Error::Interface { act: "configure", name: pair.name.to_owned(), source };
                let left = routing.delete_interface(pair.name).err();
                Err(failure.with(left.into_iter().collect()))
            }
            result => result,
        }
    }

    /// Leads packets for the container's address to its own interface, and lets bridge and interface
    /// answer for each other's addresses, so that to containers it is one network.
    fn route_interface(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mut routing = self.host.routing();
        let interface = routing.existing_interface(&endpoint.host_interface)?;
        bridge::answer_for_interfaces(&mut routing, &self.bridge)?;
        routing.answer_at_once(&interface)?;
        if let Some(lease) = endpoint.ipv6 {
            // The container finds the host at its gateway's address here as on the bridge.
            switches::allow_ipv6(&interface.name)?;
            routing
                .add_address(&interface, InterfaceAddress { address: lease.gateway, prefix_length: 128 })?;
            routing.accept_ipv6_loopback(&interface)?;
        }
        self.lead_beside_bridge(&mut routing, endpoint, &interface)?;
        Ok(self.host.faults.pass(Step::RouteInterface)?)
    }

    /// Routes packets for the container's addresses to its interface beside the bridge.
    pub(super) fn lead_beside_bridge(
        &self,
        routing: &mut Routing,
        endpoint: &Endpoint,
        interface: &Interface,
    ) -> Result<(), Error> {
        if let Some(lease) = endpoint.ipv4 {
            let source = self.host_ipv4.then_some(lease.gateway.into());
            routing.add_host_route(interface, lease.address.into(), source)?;
        }
        if let Some(lease) = endpoint.ipv6 {
            routing.add_host_route(interface, lease.address.into(), Some(lease.gateway.into()))?;
            routing.add_proxied(&self.bridge.interface(), lease.address)?;
        }
        Ok(())
    }

    fn delete_interface_after(&self, endpoint: &Endpoint, error: Error) -> Error {
        let mut routing = self.host.routing();
        let mut left: Vec<Error> =
            routing.delete_interface(&endpoint.host_interface).err().into_iter().collect();
        left.extend(forget_neighbour(&mut routing, &self.bridge, endpoint));
        error.with(left)
    }

    /// Opens the published ports and drops the kernel's tracked connections of packets that came for them
    /// before.
    fn open_firewall(&self, endpoint: &Endpoint, interface: InterfaceState) -> Result<(), Error> {
        let Some(mut firewall) = self.host.firewall() else { return Ok(()) };
        let Some(place) = interface.place() else { return Ok(()) };
        let content = Content::of(endpoint, place);
        firewall.forward_if_needed()?;
        self.add_rules(&mut firewall, &content)?;
        let result = self.host.faults.pass(Step::OpenFirewall).map_err(Error::from).and_then(|()| {
            for port in &endpoint.ports {
                firewall.forget_packets(port)?;
            }
            Ok(self.host.faults.pass(Step::ForgetConnections)?)
        });
        result.map_err(|error| {
            let left = firewall.withdraw(&content).err();
            error.with(left.into_iter().collect())
        })
    }

    /// Removes elements. Where the kernel refuses, the tables are made again without them: there is no retry.
    fn withdraw(&self, firewall: &mut Firewall, content: &Content) -> Result<(), Error> {
        let withdrawn = self.host.faults.pass(Step::CloseFirewall).map_err(Error::from);
        withdrawn
            .and_then(|()| firewall.withdraw(content))
            .or_else(|error| firewall.rebuild(self.host.content()).map_err(|left| error.with(vec![left])))
    }

    /// Removes an endpoint from the kernel's tables: first its routes, then its tracked connections.
    fn take_away(&self, entry: &Entry, exceptions: Vec<LinkException>) -> Vec<Error> {
        let mut errors = Vec::new();
        let endpoint = &entry.endpoint;
        if let Some(mut firewall) = self.host.firewall() {
            let place = entry.interface.place();
            let mut content = place.map_or_else(Content::default, |place| Content::of(endpoint, place));
            content.exceptions = exceptions;
            errors.extend(self.withdraw(&mut firewall, &content).err());
        }
        if entry.interface != InterfaceState::Missing {
            errors.extend(forget_neighbour(&mut self.host.routing(), &self.bridge, endpoint));
        }
        if entry.interface == InterfaceState::Routed {
            // Until it is removed it would lead packets for the next one of this address.
            errors.extend(self.host.routing().set_down(&endpoint.host_interface).err());
        }
        if entry.interface != InterfaceState::Missing {
            self.host.reaper.take(endpoint.host_interface.clone());
            if let Some(mut firewall) = self.host.firewall() {
                for address in endpoint.addresses() {
                    errors.extend(firewall.forget_address(address).err());
                }
            }
        }
        errors
    }
}

/// Removes a container from the bridge: its forwarding entries, and those by which the bridge answers for it.
fn forget_neighbour(routing: &mut Routing, bridge: &Bridge, endpoint: &Endpoint) -> Vec<Error> {
    let (name, index) = (bridge.name.as_str(), bridge.index());
    let mut errors = Vec::new();
    for address in endpoint.addresses() {
        errors.extend(routing.delete_neighbour(name, index, address).err());
    }
    if let Some(lease) = endpoint.ipv6 {
        errors.extend(routing.delete_proxied(name, index, lease.address).err());
    }
    errors
}
