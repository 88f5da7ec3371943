//! Configures interfaces of containers that run, from within their network namespaces.
//!
//! A container's first interface is configured by its init when it starts; what comes later, and further
//! interfaces, are configured here, so that a container's process takes no part in it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use super::switches;
use crate::endpoint::{AddressLease, Endpoint};
use crate::error::Error;
use crate::family::Address;
use crate::route::{Interface, Route, Routing};
use crate::subnet::InterfaceAddress;

/// What configures an interface's address of IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Configurer {
    /// The container's init, at its start.
    Init,
    /// The engine, from outside of the container.
    Engine,
}

/// Gives the endpoint's interface its address of IPv4. It is there and up, with that of IPv6.
pub(super) fn configure(
    routing: &mut Routing,
    endpoint: &Endpoint,
    interface: &Interface,
) -> Result<(), Error> {
    if endpoint.ipv6.is_none() {
        switches::refuse_ipv6(&interface.name)?;
    }
    let Some(AddressLease { address, prefix_length, .. }) = endpoint.ipv4 else { return Ok(()) };
    routing.add_address(interface, InterfaceAddress { address, prefix_length })
}

/// Gives an interface of the container a further address.
///
/// # Errors
/// The kernel's refusal.
pub fn add_address<A: Address>(
    namespace: BorrowedFd<'_>,
    interface: &str,
    address: InterfaceAddress<A>,
) -> Result<(), Error> {
    within(namespace, |routing| {
        let interface = routing.existing_interface(interface)?;
        routing.add_address(&interface, address)
    })
}

/// Changes a kernel setting of the namespace, `net/ipv4/conf/eth0/forwarding`.
///
/// # Errors
/// The kernel's refusal, and a setting that there is not.
pub fn set(namespace: BorrowedFd<'_>, setting: &str, value: &str) -> Result<(), Error> {
    let path = std::path::Path::new("/proc/sys").join(setting);
    within(namespace, |_| {
        std::fs::write(&path, value).map_err(|source| Error::File {
            act: "write",
            path: path.clone(),
            source,
        })
    })
}

/// Where the default routes of a container lead: an interface and a gateway, which is unspecified where the
/// interface itself leads everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DefaultRoutes<'a> {
    /// That of IPv4.
    pub ipv4: Option<(&'a str, Ipv4Addr)>,
    /// That of IPv6.
    pub ipv6: Option<(&'a str, Ipv6Addr)>,
}

/// Sets the container's default routes, or removes them. Open connections continue.
///
/// # Errors
/// The kernel's refusal.
pub fn set_default_routes(namespace: BorrowedFd<'_>, routes: DefaultRoutes<'_>) -> Result<(), Error> {
    within(namespace, |routing| {
        lead(routing, routes.ipv4)?;
        lead(routing, routes.ipv6)
    })
}

/// Does the same, but leaves a default route that leads through none of these interfaces: it was changed in the
/// container.
///
/// # Errors
/// The kernel's refusal.
pub fn restore_default_routes(
    namespace: BorrowedFd<'_>,
    routes: DefaultRoutes<'_>,
    interfaces: &[&str],
) -> Result<(), Error> {
    within(namespace, |routing| {
        restore(routing, routes.ipv4, interfaces)?;
        restore(routing, routes.ipv6, interfaces)
    })
}

fn restore<A: Address>(routing: &mut Routing, route: Option<(&str, A)>, names: &[&str]) -> Result<(), Error> {
    let interfaces = routing.interfaces()?;
    let is_ours = |out: Option<u32>| {
        interfaces
            .iter()
            .any(|interface| Some(interface.index) == out && names.contains(&interface.name.as_str()))
    };
    let is_default = |route: &&Route<A>| route.destination.prefix_length() == 0;
    match routing.routes::<A>()?.iter().find(is_default) {
        Some(present) if !is_ours(present.out) => Ok(()),
        None if route.is_none() => Ok(()),
        _ => lead(routing, route),
    }
}

/// Leads the default routes that are given there, and leaves the others to init.
///
/// # Errors
/// The kernel's refusal.
pub fn add_default_routes(namespace: BorrowedFd<'_>, routes: DefaultRoutes<'_>) -> Result<(), Error> {
    within(namespace, |routing| {
        routes.ipv4.map_or(Ok(()), |route| lead(routing, Some(route)))?;
        routes.ipv6.map_or(Ok(()), |route| lead(routing, Some(route)))
    })
}

fn lead<A: Address>(routing: &mut Routing, route: Option<(&str, A)>) -> Result<(), Error> {
    match route {
        Some((interface, gateway)) => {
            let interface = routing.existing_interface(interface)?;
            routing.replace_default_route(&interface, gateway.into())
        }
        None => routing.delete_default_route::<A>(),
    }
}

/// Runs in a thread of its own, which ends in the namespace.
pub(super) fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    act: impl FnOnce(&mut Routing) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let joined = move || {
        sys::network_namespace::join(namespace).map_err(|source| Error::Socket { source })?;
        act(&mut Routing::open()?)
    };
    let ended = std::thread::scope(|scope| scope.spawn(joined).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
