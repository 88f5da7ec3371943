//! Takes back what running containers have of a network that opens: addresses, ports, interfaces.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use rustix::io::Errno;

use super::adoption::{adopt_address, leads_through, leads_to, running_elsewhere, taken};
use super::bridge;
use super::open::NetworkOpening;
use super::{Book, Entry, InterfaceState, switches};
use crate::addresses::AddressPool;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::held_ports::PortBook;
use crate::options::OptionsError;
use crate::route::{Interface, Routing};

impl NetworkOpening<'_> {
    /// Holds the addresses and ports of known endpoints again, and joins their interfaces.
    pub(super) fn adopt(
        &mut self,
        routing: &mut Routing,
        known: Vec<Endpoint>,
        interfaces: &[Interface],
        ports: &mut PortBook,
    ) -> Result<Book, Error> {
        let mut book = Book {
            ipv4: self.ipv4_pool(routing)?,
            ipv6: self.ipv6_pool(routing)?,
            endpoints: HashMap::new(),
        };
        if let Some(endpoint) = known.iter().find(|endpoint| !leads_to(&self.bridge, endpoint)) {
            return Err(running_elsewhere(endpoint));
        }
        for mut endpoint in known {
            endpoint.trusted_interfaces.clone_from(&self.options.trusted_interfaces);
            let ipv4 = adopt_address(book.ipv4.as_mut(), endpoint.ipv4);
            if let Err(address) = ipv4.and_then(|()| adopt_address(book.ipv6.as_mut(), endpoint.ipv6)) {
                return Err(Error::AddressTaken { address, container: endpoint.container });
            }
            let (held, errors) = ports.adopt(&endpoint);
            self.warnings.extend(errors.iter().map(ToString::to_string));
            let interface = self.adopt_interface(routing, &endpoint, interfaces)?;
            book.endpoints.insert(endpoint.container.clone(), Entry { endpoint, held, interface });
        }
        Ok(book)
    }

    /// Checks how a known endpoint's interface is joined; one that lost its bridge is joined again.
    fn adopt_interface(
        &self,
        routing: &mut Routing,
        endpoint: &Endpoint,
        interfaces: &[Interface],
    ) -> Result<InterfaceState, Error> {
        let Some(interface) = interfaces.iter().find(|interface| interface.name == endpoint.host_interface)
        else {
            return Ok(InterfaceState::Missing);
        };
        if interface.master != Some(self.bridge.index())
            && (leads_through(routing, interface, endpoint.ipv4)?
                || leads_through(routing, interface, endpoint.ipv6)?)
        {
            if endpoint.ipv6.is_none() {
                switches::refuse_ipv6(&interface.name)?;
            }
            bridge::answer_for_interfaces(routing, &self.bridge)?;
            return Ok(InterfaceState::Routed);
        }
        if !interface.refuses_ipv6 {
            switches::refuse_ipv6(&interface.name)?;
        }
        // An earlier release may have made it a port with fewer settings.
        let is_port = interface.master == Some(self.bridge.index()) && interface.is_up;
        if is_port && interface.has_port_settings {
            return Ok(InterfaceState::Port);
        }
        match routing.attach(interface, self.bridge.index()) {
            // Its container has ended since the interfaces were listed.
            Err(Error::Interface { source, .. }) if source.is(Errno::NODEV) => Ok(InterfaceState::Missing),
            attached => attached.map(|()| InterfaceState::Port),
        }
    }

    /// The pool of the bridge's network of IPv4 without the host's own addresses in it.
    fn ipv4_pool(&self, routing: &mut Routing) -> Result<Option<AddressPool>, Error> {
        let Some(host) = self.bridge.ipv4 else { return Ok(None) };
        let whole = host.subnet();
        if let Some(part) = self.options.fixed_cidr.filter(|part| !whole.includes(*part)) {
            return Err(OptionsError::FixedCidr { part, whole }.into());
        }
        let reserved = taken(host, self.known_host.ipv4(routing, &self.bridge)?, &self.options.reserved);
        Ok(Some(AddressPool::new(whole, self.options.fixed_cidr, &reserved, self.options.order)))
    }

    /// The same of IPv6.
    fn ipv6_pool(&self, routing: &mut Routing) -> Result<Option<AddressPool<Ipv6Addr>>, Error> {
        let (Some(host), Some(options)) = (self.bridge.ipv6, &self.options.ipv6) else { return Ok(None) };
        let reserved = taken(host, self.known_host.ipv6(routing, &self.bridge)?, &options.reserved);
        Ok(Some(AddressPool::new(host.subnet(), options.range, &reserved, self.options.order)))
    }
}
