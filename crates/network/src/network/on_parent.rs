//! A network on an interface of the host: each container has an interface of its own there (macvlan or ipvlan), and
//! what it sends goes out by the parent. There is no bridge, no gateway of the host, no firewall and no published port.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};

use model::ContainerId;
use rustix::io::Errno;

use super::adoption::adopt_address;
use super::group::{FORMER_MADE_PARENTS, MADE_PARENTS};
use super::inside::{Configurer, configure, within};
use super::leases::Leases;
use super::lock::locked;
use super::state::{Book, Entry, InterfaceState};
use super::switches;
use crate::addresses::AddressPool;
use crate::endpoint::{Endpoint, Request, hardware_address, link_local};
use crate::error::Error;
use crate::family::Address;
use crate::options::AddressOrder;
use crate::parent::{ParentAddresses, ParentChoice, ParentOptions};
use crate::route::{Interface, Routing, Upper};
use crate::subnet::InterfaceAddress;

/// The numbers that VLANs may have, IEEE 802.1Q, table 9-2.
const VLAN_IDS: std::ops::RangeInclusive<u16> = 1..=4094;
const LINK_LOCAL_PREFIX: u8 = 64;
/// The lower half of an address of IPv6.
const INTERFACE_PART: u128 = u64::MAX as u128;

/// A network on a parent.
#[derive(Debug)]
pub(super) struct OnParent {
    options: ParentOptions,
    book: Mutex<Book>,
    /// The containers' network namespaces, to remove the interfaces from: others may still use them.
    namespaces: Mutex<HashMap<ContainerId, OwnedFd>>,
}

/// Whether an engine has made this parent.
const fn is_made(interface: &Interface) -> bool {
    matches!(interface.group, MADE_PARENTS | FORMER_MADE_PARENTS)
}

/// Finds the parent, or makes it.
fn prepare(routing: &mut Routing, parent: &ParentChoice) -> Result<(), Error> {
    let name = parent.name();
    let present = routing.interface(name)?;
    match (parent, present) {
        (_, Some(_)) if name == "lo" => {
            Err(Error::UnusableParent(name.to_owned(), "the loopback leads nowhere"))
        }
        (_, Some(interface)) if is_made(&interface) => {
            routing.set_group(&interface, MADE_PARENTS)?;
            routing.set_up(&interface, None)
        }
        (_, Some(_)) => Ok(()),
        (ParentChoice::Dummy(name), None) => {
            routing.create_dummy(name, MADE_PARENTS)?;
            set_up_made(routing, name)
        }
        (ParentChoice::Named(name), None) => {
            let (lower, id) = name.rsplit_once('.').ok_or_else(|| Error::NoParent(name.clone()))?;
            let id = id.parse().ok().filter(|id| VLAN_IDS.contains(id)).ok_or_else(|| {
                Error::UnusableParent(name.clone(), "behind the point stands the number of a VLAN, 1 to 4094")
            })?;
            let lower = routing.interface(lower)?.ok_or_else(|| Error::NoParent(lower.to_owned()))?;
            routing.create_vlan(name, lower.index, id, MADE_PARENTS)?;
            set_up_made(routing, name)
        }
    }
}

fn set_up_made(routing: &mut Routing, name: &str) -> Result<(), Error> {
    let set_up =
        routing.existing_interface(name).and_then(|interface| routing.set_up_without_ipv6(&interface));
    set_up.map_err(|error| error.with(routing.delete_interface(name).err().into_iter().collect()))
}

fn pool<A: Address>(addresses: &ParentAddresses<A>) -> AddressPool<A> {
    let ParentAddresses { gateway, range, reserved } = addresses;
    let taken: Vec<A> = reserved.iter().copied().chain([gateway.address]).collect();
    AddressPool::new(gateway.subnet(), *range, &taken, AddressOrder::Lowest)
}

impl OnParent {
    /// Finds or makes the parent, and takes over what running containers have.
    pub(super) fn open(options: &ParentOptions, known: Vec<Endpoint>) -> Result<Self, Error> {
        let mut routing = Routing::open()?;
        routing.require_kind(options.sharing.kind())?;
        prepare(&mut routing, &options.parent)?;
        let mut book = Book {
            ipv4: options.ipv4.as_ref().map(pool),
            ipv6: options.ipv6.as_ref().map(pool),
            endpoints: HashMap::new(),
        };
        for endpoint in known {
            let ipv4 = adopt_address(book.ipv4.as_mut(), endpoint.ipv4);
            if let Err(address) = ipv4.and_then(|()| adopt_address(book.ipv6.as_mut(), endpoint.ipv6)) {
                return Err(Error::AddressTaken { address, container: endpoint.container });
            }
            let entry =
                Entry { endpoint: endpoint.clone(), held: Vec::new(), interface: InterfaceState::Port };
            book.endpoints.insert(endpoint.container, entry);
        }
        Ok(Self { options: options.clone(), book: Mutex::new(book), namespaces: Mutex::default() })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }

    pub(super) fn reserve(&self, request: &Request) -> Result<Endpoint, Error> {
        let mut book = self.book();
        if book.endpoints.contains_key(&request.container) {
            return Err(Error::Connected(request.container.clone()));
        }
        let hosts = (
            self.options.ipv4.as_ref().map(|addresses| self.router(addresses)),
            self.options.ipv6.as_ref().map(|addresses| self.router(addresses)),
        );
        let Leases { ipv4, ipv6 } = Leases::take(&mut book, hosts, request)?;
        let own = || hardware_address(ipv4.map(|it| it.address), ipv6.map(|it| it.address));
        let endpoint = Endpoint {
            container: request.container.clone(),
            ipv4,
            ipv6,
            internal: self.options.internal,
            mac: request.mac.unwrap_or_else(own),
            interface_name: request.interface_name.clone(),
            source_check: request.source_check,
            host_interface: String::new(),
            ports: Vec::new(),
            relays_loopback: false,
            trusted_interfaces: Vec::new(),
            exceptions: Vec::new(),
        };
        let entry =
            Entry { endpoint: endpoint.clone(), held: Vec::new(), interface: InterfaceState::Missing };
        book.endpoints.insert(request.container.clone(), entry);
        Ok(endpoint)
    }

    /// The containers' router, an unspecified one where their default routes lead to their interfaces.
    fn router<A: Address>(&self, addresses: &ParentAddresses<A>) -> InterfaceAddress<A> {
        match self.options.sharing.has_router() {
            true => addresses.gateway,
            false => InterfaceAddress { address: A::from_number(0), ..addresses.gateway },
        }
    }

    /// Makes the container's interface on the parent, up and with its addresses of IPv6.
    pub(super) fn connect(
        &self,
        container: &ContainerId,
        namespace: BorrowedFd<'_>,
        configurer: Configurer,
    ) -> Result<(), Error> {
        let endpoint = self.book().endpoints.get(container).map(|entry| entry.endpoint.clone());
        let endpoint = endpoint.ok_or_else(|| Error::NotConnected(container.clone()))?;
        let kept = namespace.try_clone_to_owned().map_err(|source| Error::Socket { source })?;
        self.create(&endpoint, namespace)?;
        let set_up = within(namespace, |routing| {
            let interface = self.set_up_inside(routing, &endpoint)?;
            if configurer == Configurer::Engine {
                configure(routing, &endpoint, &interface)?;
            }
            Ok(interface.mac)
        });
        let mac = set_up.map_err(|error| {
            let left = within(namespace, |routing| routing.delete_interface(&endpoint.interface_name)).err();
            error.with(left.into_iter().collect())
        })?;
        locked(&self.namespaces).insert(container.clone(), kept);
        if let Some(entry) = self.book().endpoints.get_mut(container) {
            entry.interface = InterfaceState::Port;
            entry.endpoint.mac = mac.unwrap_or(endpoint.mac);
        }
        Ok(())
    }

    /// An interface of the same name can only be left over from this container's last run, in a namespace that others
    /// still use. It is replaced.
    fn create(&self, endpoint: &Endpoint, namespace: BorrowedFd<'_>) -> Result<(), Error> {
        let mut routing = Routing::open()?;
        let name = self.options.parent.name();
        let parent = routing.interface(name)?.ok_or_else(|| Error::NoParent(name.to_owned()))?;
        let upper = Upper {
            name: &endpoint.interface_name,
            parent: parent.index,
            mac: self.options.sharing.has_own_addresses().then_some(endpoint.mac),
            mtu: self.options.mtu,
            sharing: self.options.sharing,
            namespace,
        };
        match routing.create_upper(&upper) {
            Err(Error::Interface { source, .. }) if source.is(Errno::EXIST) => {
                within(namespace, |routing| routing.delete_interface(upper.name))?;
                routing.create_upper(&upper)
            }
            result => result,
        }
    }

    /// Gives the interface, with the hardware address that it has.
    fn set_up_inside(&self, routing: &mut Routing, endpoint: &Endpoint) -> Result<Interface, Error> {
        let interface = routing.existing_interface(&endpoint.interface_name)?;
        if endpoint.ipv6.is_some() {
            switches::allow_ipv6(&interface.name)?;
        }
        routing.set_up_without_ipv6(&interface)?;
        self.add_ipv6(routing, &interface, endpoint)?;
        Ok(interface)
    }

    /// The address of the interface follows from the hardware address, or from the other address where all interfaces on the
    /// parent have the same.
    fn add_ipv6(
        &self,
        routing: &mut Routing,
        interface: &Interface,
        endpoint: &Endpoint,
    ) -> Result<(), Error> {
        let Some(lease) = endpoint.ipv6 else { return Ok(()) };
        let of_interface = match self.options.sharing.has_own_addresses() {
            true => link_local(endpoint.mac),
            false => Address::from_number((0xfe80 << 112) | (lease.address.number() & INTERFACE_PART)),
        };
        routing.add_address(
            interface,
            InterfaceAddress { address: of_interface, prefix_length: LINK_LOCAL_PREFIX },
        )?;
        let (address, prefix_length) = (lease.address, lease.prefix_length);
        routing.add_address(interface, InterfaceAddress { address, prefix_length })
    }

    /// Takes the container's interface and addresses away.
    pub(super) fn disconnect(&self, container: &ContainerId) -> Result<(), Error> {
        let Some(entry) = self.book().endpoints.remove(container) else { return Ok(()) };
        let namespace = locked(&self.namespaces).remove(container);
        let removed = namespace.map_or(Ok(()), |namespace| {
            within(namespace.as_fd(), |routing| routing.delete_interface(&entry.endpoint.interface_name))
        });
        Leases { ipv4: entry.endpoint.ipv4, ipv6: entry.endpoint.ipv6 }.release(&mut self.book());
        removed
    }

    /// Removes the parent, if the engine has made it.
    pub(super) fn remove(&self) -> Result<(), Error> {
        let mut routing = Routing::open()?;
        let name = self.options.parent.name();
        match routing.interface(name)? {
            Some(interface) if is_made(&interface) => routing.delete_interface(name),
            _ => Ok(()),
        }
    }
}
