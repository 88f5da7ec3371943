//! Adding and removing addresses of interfaces.

use sys::netlink::{self, Message, RequestError};

use super::socket::{
    ADDRESS_BROADCAST, ADDRESS_FLAGS, ADDRESS_LOCAL, ADDRESS_PEER, DELETE_ADDRESS, Interface, NEW_ADDRESS,
    NO_DUPLICATE_DETECTION, Routing,
};
use crate::error::Error;
use crate::family::{Address, octets};
use crate::subnet::InterfaceAddress;

impl Routing {
    /// Gives the interface an address, which may be used at once.
    pub(crate) fn add_address<A: Address>(
        &mut self,
        interface: &Interface,
        address: InterfaceAddress<A>,
    ) -> Result<(), Error> {
        let flags = netlink::ACKNOWLEDGE | netlink::CREATE | netlink::EXCLUSIVE;
        self.acknowledged(address_message(NEW_ADDRESS, flags, interface.index, address))
            .map_err(|source| address_error("add", interface, address, source))
    }

    /// Takes an address from the interface.
    pub(crate) fn delete_address<A: Address>(
        &mut self,
        interface: &Interface,
        address: InterfaceAddress<A>,
    ) -> Result<(), Error> {
        self.acknowledged(address_message(DELETE_ADDRESS, netlink::ACKNOWLEDGE, interface.index, address))
            .map_err(|source| address_error("delete", interface, address, source))
    }
}

/// `ifaddrmsg` and its attributes.
pub(super) fn address_message<A: Address>(
    kind: u16,
    flags: u16,
    index: u32,
    address: InterfaceAddress<A>,
) -> Message {
    let mut header = [A::FAMILY, address.prefix_length, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    let own = octets(address.address.into());
    let message =
        Message::new(kind, flags).fixed(&header).attribute(ADDRESS_LOCAL, &own).attribute(ADDRESS_PEER, &own);
    if !A::HAS_BROADCAST {
        return message.native_u32(ADDRESS_FLAGS, NO_DUPLICATE_DETECTION);
    }
    if address.prefix_length + 1 >= A::BITS {
        return message;
    }
    message.attribute(ADDRESS_BROADCAST, &octets(address.subnet().last().into()))
}

pub(super) fn address_error<A: Address>(
    act: &'static str,
    interface: &Interface,
    address: InterfaceAddress<A>,
    source: RequestError,
) -> Error {
    Error::Address { act, address: address.to_string(), name: interface.name.clone(), source }
}
