//! The host's ports that are held for containers: each by a bound socket, so that no other program can take
//! it, and recorded here, to distinguish a container's port from a program's.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::port::{HostPort, PortRequest, Protocol, PublishedPort};
use crate::publishing::{GatewayMode, Publishing, Relay};

/// A container that publishes more ports than these gets none of them relayed: its shim has a socket for
/// each.
pub const MOST_RELAYED: usize = 256;

/// A port of the host that is held. Dropping it frees the socket but not the book's note.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) port: PublishedPort,
    holder: Holder,
}

/// Keeps other programs from a port.
#[derive(Debug)]
enum Holder {
    /// A socket that receives nothing.
    Socket { _bound: OwnedFd },
    /// The container's shim, which relays it with a socket of its own.
    Relay,
    /// Nothing: another program took it while no daemon ran, or it is reached at the container's own address.
    None,
}

impl Held {
    /// Whether the container's shim relays it.
    pub(crate) const fn is_relayed(&self) -> bool {
        matches!(self.holder, Holder::Relay)
    }
}

/// Ports of the host that are held without a container yet. They are assigned to one or released.
#[derive(Debug)]
#[must_use = "dropped, they stay taken"]
pub struct HeldPorts(pub(crate) Vec<Held>);

/// All ports that are held.
#[derive(Debug)]
pub(crate) struct PortBook {
    ephemeral: RangeInclusive<u16>,
    /// The port after the ephemeral one given last, a protocol.
    next: HashMap<Protocol, u16>,
    /// The addresses at which each port is held.
    held: HashMap<(Protocol, u16), Vec<IpAddr>>,
    /// How many these are.
    count: usize,
}

impl PortBook {
    /// Makes an empty book that gives ephemeral ports of this range.
    pub(crate) fn new(ephemeral: RangeInclusive<u16>) -> Self {
        Self { ephemeral, next: HashMap::new(), held: HashMap::new(), count: 0 }
    }

    /// Holds all requested ports, or none.
    pub(crate) fn hold(
        &mut self,
        requests: &[PortRequest],
        publishing: &Publishing,
    ) -> Result<Vec<Held>, Error> {
        self.check_room(requests.len() * publishing.families())?;
        let is_possible = requests.len() <= MOST_RELAYED && (!publishing.relays_loopback() || speaks_ipv6());
        let relay = if is_possible { publishing.relay } else { Relay::Off };
        let publishing = &Publishing { relay, ..*publishing };
        let mut held = Vec::with_capacity(requests.len());
        for request in requests {
            match self.hold_request(request, publishing) {
                Ok(ports) => held.extend(ports),
                Err(error) => {
                    self.release(held);
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    /// Holds the ports of a saved endpoint again. A port that cannot be bound stays recorded; the error names
    /// it.
    pub(crate) fn adopt(&mut self, endpoint: &Endpoint) -> (Vec<Held>, Vec<Error>) {
        let mut held = Vec::with_capacity(endpoint.ports.len());
        let mut errors = Vec::new();
        for port in &endpoint.ports {
            if port.host_port == 0 {
                held.push(Held { port: *port, holder: Holder::None });
                continue;
            }
            self.note(port);
            if endpoint.is_relayed(port) || endpoint.is_relayed_at_loopback(port) {
                held.push(Held { port: *port, holder: Holder::Relay });
                continue;
            }
            let holder = match bind(port.container.protocol, port.host_ip, port.host_port) {
                Ok(bound) => Holder::Socket { _bound: bound },
                Err(source) => {
                    errors.push(bind_error(port, source));
                    Holder::None
                }
            };
            held.push(Held { port: *port, holder });
        }
        (held, errors)
    }

    /// Frees ports.
    pub(crate) fn release(&mut self, held: Vec<Held>) {
        for Held { port, .. } in &held {
            let key = (port.container.protocol, port.host_port);
            if let Some(addresses) = self.held.get_mut(&key) {
                if let Some(position) = addresses.iter().position(|ip| *ip == port.host_ip) {
                    addresses.swap_remove(position);
                    self.count -= 1;
                }
                if addresses.is_empty() {
                    self.held.remove(&key);
                }
            }
        }
    }

    /// Refuses ports for whose sockets the process has no descriptors to spare, before one is held.
    fn check_room(&self, wanted: usize) -> Result<(), Error> {
        let limit = port_limit();
        if self.count.saturating_add(wanted) > limit {
            return Err(Error::TooManyPorts { wanted, held: self.count, limit });
        }
        Ok(())
    }

    /// Holds one port at all places; those of containers that are reached at their own address need none.
    fn hold_request(&mut self, request: &PortRequest, publishing: &Publishing) -> Result<Vec<Held>, Error> {
        let is_routed = |ip: &IpAddr| publishing.mode(*ip) == Some(GatewayMode::Routed);
        let mut places = publishing.places(request.host_ip).map_err(Error::NoAddressToPublish)?;
        if request.host_ip.is_none() && places.iter().any(|ip| publishing.is_relayed(*ip)) && !speaks_ipv6() {
            places.retain(IpAddr::is_ipv4);
        }
        let (routed, translated): (Vec<_>, Vec<_>) = places.into_iter().partition(is_routed);
        let open = |host_ip| Held {
            port: PublishedPort { container: request.container, host_ip, host_port: 0 },
            holder: Holder::None,
        };
        let mut held = match translated.is_empty() {
            true => Vec::new(),
            false => self.hold_one(request, (&translated, publishing))?,
        };
        held.extend(routed.into_iter().map(open));
        Ok(held)
    }

    fn hold_one(
        &mut self,
        request: &PortRequest,
        places: (&[IpAddr], &Publishing),
    ) -> Result<Vec<Held>, Error> {
        match request.host_port {
            HostPort::Range(first, last) if first == last => self.hold_exactly(request, places, first),
            HostPort::Range(first, last) => {
                let all_taken = Error::PortAllocated(SocketAddr::new(places.0[0], first));
                self.hold_first_free(request, places, first..=last)?.ok_or(all_taken)
            }
            HostPort::Ephemeral => {
                let (first, last) = (*self.ephemeral.start(), *self.ephemeral.end());
                let next = *self.next.entry(request.container.protocol).or_insert(first);
                let found = self.hold_first_free(request, places, next..=last)?;
                let found = match found {
                    None if next > first => self.hold_first_free(request, places, first..=next - 1)?,
                    found => found,
                };
                let held = found.ok_or(Error::NoFreePort)?;
                let after = held[0].port.host_port.checked_add(1).filter(|port| *port <= last);
                self.next.insert(request.container.protocol, after.unwrap_or(first));
                Ok(held)
            }
        }
    }

    /// Tries the ports in turn and passes over those that are taken.
    fn hold_first_free(
        &mut self,
        request: &PortRequest,
        places: (&[IpAddr], &Publishing),
        ports: RangeInclusive<u16>,
    ) -> Result<Option<Vec<Held>>, Error> {
        for port in ports {
            match self.hold_exactly(request, places, port) {
                Ok(held) => return Ok(Some(held)),
                Err(Error::PortAllocated(_)) => {}
                Err(Error::PortBind { reason, .. })
                    if reason.raw_os_error() == Some(Errno::ADDRINUSE.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn hold_exactly(
        &mut self,
        request: &PortRequest,
        (places, publishing): (&[IpAddr], &Publishing),
        number: u16,
    ) -> Result<Vec<Held>, Error> {
        let mut held = Vec::with_capacity(places.len());
        for ip in places {
            match self.hold_place(request, *ip, number) {
                Ok(Held { port, .. }) if publishing.is_held_by_relay(&port) => {
                    held.push(Held { port, holder: Holder::Relay })
                }
                Ok(place) => held.push(place),
                Err(error) => {
                    self.release(held);
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    fn hold_place(&mut self, request: &PortRequest, ip: IpAddr, number: u16) -> Result<Held, Error> {
        let port = PublishedPort { container: request.container, host_ip: ip, host_port: number };
        let noted = self.held.get(&(request.container.protocol, number));
        let meets = |other: &IpAddr| {
            other.is_ipv4() == ip.is_ipv4() && (*other == ip || other.is_unspecified() || ip.is_unspecified())
        };
        if noted.is_some_and(|addresses| addresses.iter().any(meets)) {
            return Err(Error::PortAllocated(SocketAddr::new(ip, number)));
        }
        let protocol = request.container.protocol;
        let bound = match request.host_port == HostPort::Range(number, number) {
            true => sys::inet::bind_patiently(|| bind(protocol, ip, number)),
            false => bind(protocol, ip, number),
        };
        let bound = bound.map_err(|source| bind_error(&port, source))?;
        self.note(&port);
        Ok(Held { port, holder: Holder::Socket { _bound: bound } })
    }

    fn note(&mut self, port: &PublishedPort) {
        self.held.entry((port.container.protocol, port.host_port)).or_default().push(port.host_ip);
        self.count += 1;
    }
}

/// Three quarters of the descriptors that the process may have: the rest is for all else.
fn port_limit() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    descriptors.and_then(|limit| usize::try_from(limit).ok()).map_or(usize::MAX, |limit| limit / 4 * 3)
}

fn bind_error(port: &PublishedPort, source: io::Error) -> Error {
    Error::PortBind {
        protocol: port.container.protocol,
        address: SocketAddr::new(port.host_ip, port.host_port),
        reason: source,
    }
}

/// Whether the host has a loopback of IPv6, as it has wherever IPv6 is enabled.
fn speaks_ipv6() -> bool {
    bind(Protocol::Udp, Ipv6Addr::LOCALHOST.into(), 0).is_ok()
}

/// Binds a socket that never receives anything: packets for the port are translated before they
/// reach it.
fn bind(protocol: Protocol, ip: IpAddr, port: u16) -> io::Result<OwnedFd> {
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if ip.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    let address = SocketAddr::new(ip, port);
    match protocol {
        Protocol::Udp => rustix::net::bind(&socket, &address)?,
        Protocol::Tcp => {
            // Past connections of a server that had the port before do not count, as they do not
            // for any server that starts. So others that are only bound with the same option are
            // not seen until the socket listens, which it must not go on doing, or clients would
            // connect to it before the container is there.
            sockopt::set_socket_reuseaddr(&socket, true)?;
            rustix::net::bind(&socket, &address)?;
            rustix::net::listen(&socket, 1)?;
            rustix::net::shutdown(&socket, Shutdown::Both)?;
            sockopt::set_socket_reuseaddr(&socket, false)?;
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests;
