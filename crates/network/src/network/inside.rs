//! Configures interfaces of containers that run, from within their network namespaces.
//!
//! A container's first interface is configured by its init when it starts; what comes later, and further
//! interfaces, are configured here, so that a container's process takes no part in it.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use super::switches;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::route::Routing;
use crate::subnet::InterfaceAddress;

/// Gives the endpoint's interface its address. It is there and up since the container was connected.
///
/// # Errors
/// The kernel's refusal.
pub fn configure(namespace: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), Error> {
    let (address, prefix_length) = (endpoint.address, endpoint.prefix_length);
    within(namespace, |routing| {
        switches::refuse_ipv6(&endpoint.interface_name)?;
        let link = routing.existing_link(&endpoint.interface_name)?;
        routing.add_address(&link, InterfaceAddress { address, prefix_length })
    })
}

/// Gives an interface of the container a further address.
///
/// # Errors
/// The kernel's refusal.
pub fn add_address(
    namespace: BorrowedFd<'_>,
    interface: &str,
    address: InterfaceAddress,
) -> Result<(), Error> {
    within(namespace, |routing| {
        let link = routing.existing_link(interface)?;
        routing.add_address(&link, address)
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

/// Leads the container's default route through this interface and gateway, or nowhere. Connections that are
/// open go on.
///
/// # Errors
/// The kernel's refusal.
pub fn set_default_route(namespace: BorrowedFd<'_>, route: Option<(&str, Ipv4Addr)>) -> Result<(), Error> {
    within(namespace, |routing| match route {
        Some((interface, gateway)) => {
            let link = routing.existing_link(interface)?;
            routing.replace_default_route(&link, gateway)
        }
        None => routing.delete_default_route(),
    })
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
