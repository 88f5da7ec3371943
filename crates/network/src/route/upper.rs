//! Interfaces on top of others: macvlan, ipvlan and VLANs; and dummies.

use std::os::fd::{AsRawFd, BorrowedFd};

use model::MacAddress;
use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError};

use super::interface::{
    GROUP, HARDWARE_ADDRESS, INFO_DATA, INFO_KIND, LINK_INFO, MTU, NAME, NAMESPACE_DESCRIPTOR, header,
    interface_error,
};
use super::{NEW_LINK, Routing};
use crate::error::Error;
use crate::parent::Sharing;

// Attributes of linux/if_link.h.
const LOWER: u16 = 5;
const MACVLAN_MODE: u16 = 1;
const IPVLAN_MODE: u16 = 1;
const IPVLAN_FLAGS: u16 = 2;
const VLAN_ID: u16 = 1;

/// A container's interface on a parent.
#[derive(Debug)]
pub(crate) struct Upper<'a> {
    /// Its name inside.
    pub(crate) name: &'a str,
    /// The index of the parent.
    pub(crate) parent: u32,
    /// The hardware address; `None` for the parent's.
    pub(crate) mac: Option<MacAddress>,
    pub(crate) mtu: Option<u32>,
    pub(crate) sharing: Sharing,
    /// The container's network namespace, in which it is born.
    pub(crate) namespace: BorrowedFd<'a>,
}

impl Routing {
    /// Checks that the kernel supports interfaces of this kind: it gets a request for one without a parent, which it
    /// refuses in either case.
    pub(crate) fn require_kind(&mut self, kind: &'static str) -> Result<(), Error> {
        let message = unnamed_creation().nested(LINK_INFO, |info| info.string(INFO_KIND, kind));
        match self.acknowledged(message) {
            Err(source) if source.is(Errno::OPNOTSUPP) => Err(Error::KindMissing { kind, source }),
            _ => Ok(()),
        }
    }

    /// Makes a container's interface.
    pub(crate) fn create_upper(&mut self, upper: &Upper<'_>) -> Result<(), Error> {
        let descriptor = u32::try_from(upper.namespace.as_raw_fd()).unwrap_or(u32::MAX);
        let mut message =
            creation(upper.name).native_u32(LOWER, upper.parent).native_u32(NAMESPACE_DESCRIPTOR, descriptor);
        if let Some(mac) = upper.mac {
            message = message.attribute(HARDWARE_ADDRESS, &mac.bytes());
        }
        if let Some(mtu) = upper.mtu {
            message = message.native_u32(MTU, mtu);
        }
        let message = message.nested(LINK_INFO, |info| {
            let info = info.string(INFO_KIND, upper.sharing.kind());
            info.nested(INFO_DATA, |data| match upper.sharing {
                Sharing::Macvlan(mode) => data.native_u32(MACVLAN_MODE, mode as u32),
                Sharing::Ipvlan { mode, flag } => data
                    .attribute(IPVLAN_MODE, &(mode as u16).to_ne_bytes())
                    .attribute(IPVLAN_FLAGS, &(flag as u16).to_ne_bytes()),
            })
        });
        self.create("create", upper.name, upper.sharing.kind(), message)
    }

    /// Makes the VLAN of a number on an interface, in a group that marks it as the engine's own.
    pub(crate) fn create_vlan(&mut self, name: &str, lower: u32, id: u16, group: u32) -> Result<(), Error> {
        let message =
            creation(name).native_u32(LOWER, lower).native_u32(GROUP, group).nested(LINK_INFO, |info| {
                info.string(INFO_KIND, "vlan")
                    .nested(INFO_DATA, |data| data.attribute(VLAN_ID, &id.to_ne_bytes()))
            });
        self.create("create the VLAN", name, "vlan", message)
    }

    /// Makes an interface that leads nowhere.
    pub(crate) fn create_dummy(&mut self, name: &str, group: u32) -> Result<(), Error> {
        let message =
            creation(name).native_u32(GROUP, group).nested(LINK_INFO, |info| info.string(INFO_KIND, "dummy"));
        self.create("create the dummy", name, "dummy", message)
    }

    fn create(
        &mut self,
        act: &'static str,
        name: &str,
        kind: &'static str,
        message: Message,
    ) -> Result<(), Error> {
        self.acknowledged(message).map_err(|source: RequestError| match source.is(Errno::OPNOTSUPP) {
            true => Error::KindMissing { kind, source },
            false => interface_error(act, name, source),
        })
    }
}

fn creation(name: &str) -> Message {
    unnamed_creation().string(NAME, name)
}

fn unnamed_creation() -> Message {
    Message::new(NEW_LINK, netlink::ACKNOWLEDGE | netlink::CREATE | netlink::EXCLUSIVE).fixed(&header(0, 0))
}
