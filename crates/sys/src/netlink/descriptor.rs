//! Netlink sockets as the kernel makes them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink};

/// Which part of the kernel is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes: rtnetlink(7).
    Route,
    /// nf_tables and connection tracking: nfnetlink.
    Netfilter,
    /// Sockets: sock_diag(7).
    SocketDiagnosis,
}

pub(super) const HEADER_LENGTH: usize = 16;

/// A datagram of the kernel is never larger than this unless a larger buffer is offered.
pub(super) const RECEIVE_LENGTH: usize = 64 * 1024;

/// Opens a socket that receives the messages of the groups (a bit each).
pub(super) fn bound(protocol: Protocol, groups: u32) -> io::Result<OwnedFd> {
    let protocol = match protocol {
        // NETLINK_ROUTE is number 0, which is also what no number means.
        Protocol::Route => None,
        Protocol::Netfilter => Some(netlink::NETFILTER),
        Protocol::SocketDiagnosis => Some(netlink::SOCK_DIAG),
    };
    let descriptor =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    rustix::net::bind(&descriptor, &netlink::SocketAddrNetlink::new(0, groups))?;
    Ok(descriptor)
}

/// `NETLINK_GET_STRICT_CHK` of linux/netlink.h: dumps honour the filters in their header.
pub(super) const NETLINK_GET_STRICT_CHK: libc::c_int = 12;

/// Turns a boolean option of `SOL_NETLINK` on.
pub(super) fn set_option(descriptor: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = u32::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: `on` lives through the call and `length` is its size.
    let result = unsafe {
        libc::setsockopt(
            descriptor.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            std::ptr::from_ref(&on).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
