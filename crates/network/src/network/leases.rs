//! Addresses that a container takes of a network and gives back.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::state::Book;
use crate::addresses::AddressPool;
use crate::endpoint::{AddressLease, Request};
use crate::error::Error;
use crate::family::Address;
use crate::subnet::InterfaceAddress;

/// The addresses of one container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leases {
    pub(super) ipv4: Option<AddressLease<Ipv4Addr>>,
    pub(super) ipv6: Option<AddressLease<Ipv6Addr>>,
}

impl Leases {
    /// Takes an address of each family that the network has, or none. `hosts` are the addresses through which
    /// everything else is reached.
    pub(super) fn take(
        book: &mut Book,
        hosts: (Option<InterfaceAddress>, Option<InterfaceAddress<Ipv6Addr>>),
        request: &Request,
    ) -> Result<Self, Error> {
        let ipv4 = lease(book.ipv4.as_mut(), hosts.0, request.address)?;
        let leases = Self { ipv4, ipv6: None };
        match lease(book.ipv6.as_mut(), hosts.1, request.ipv6_address) {
            Ok(ipv6) => Ok(Self { ipv6, ..leases }),
            Err(error) => {
                leases.release(book);
                Err(error)
            }
        }
    }

    pub(super) fn release(self, book: &mut Book) {
        if let (Some(pool), Some(lease)) = (&mut book.ipv4, self.ipv4) {
            pool.release(lease.address);
        }
        if let (Some(pool), Some(lease)) = (&mut book.ipv6, self.ipv6) {
            pool.release(lease.address);
        }
    }
}

/// Takes the requested address, or a free one; `None` of a family that the network does not have.
fn lease<A: Address>(
    pool: Option<&mut AddressPool<A>>,
    host: Option<InterfaceAddress<A>>,
    asked: Option<A>,
) -> Result<Option<AddressLease<A>>, Error> {
    let (Some(pool), Some(host)) = (pool, host) else { return Ok(None) };
    let range = pool.range();
    let address = match asked {
        Some(address) => pool.take_exactly(address).map(|()| address)?,
        None => pool.take().ok_or_else(|| Error::NoFreeAddress(range.to_string()))?,
    };
    Ok(Some(AddressLease { address, prefix_length: host.prefix_length, gateway: host.address }))
}
