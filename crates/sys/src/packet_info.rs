//! Datagrams of IPv6 with the address of this host that they were sent to, so that answers come from there:
//! `IPV6_PKTINFO`, RFC 3542, section 6.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// This host's end of a datagram's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalEnd {
    /// The address.
    pub address: Ipv6Addr,
    /// The interface, where the address is one of a link; else 0, which is any.
    pub interface: u32,
}

/// The length of a value as system calls take it.
#[expect(clippy::cast_possible_truncation, reason = "the values of this file have a few bytes")]
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Room for one control message that holds the kernel's structure, aligned as messages are.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Has the kernel give the local end with each datagram.
///
/// # Errors
/// Those of setsockopt(2).
pub fn enable(socket: impl AsFd) -> io::Result<()> {
    let yes: libc::c_int = 1;
    let length = length_of::<libc::c_int>();
    // SAFETY: the pointer leads to a live number of the length beside it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVPKTINFO,
            (&raw const yes).cast(),
            length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives a datagram: its length, its sender and the local end. A datagram without one is an error.
///
/// # Errors
/// Those of recvmsg(2), `WouldBlock` without a waiting datagram.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV6, LocalEnd)> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut peer = empty_address();
    let mut message = header(&mut peer, &mut part, &mut control);
    // SAFETY: every pointer of the header leads to a live value of the length beside it.
    let length =
        unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let local = local_end(&message).ok_or(io::ErrorKind::InvalidData)?;
    let address = Ipv6Addr::from(peer.sin6_addr.s6_addr);
    let peer =
        SocketAddrV6::new(address, u16::from_be(peer.sin6_port), peer.sin6_flowinfo, peer.sin6_scope_id);
    Ok((length, peer, local))
}

/// Sends a datagram from one of this host's addresses.
///
/// # Errors
/// Those of sendmsg(2).
pub fn send(socket: impl AsFd, datagram: &[u8], to: SocketAddrV6, from: LocalEnd) -> io::Result<()> {
    let mut control = Control([0; 64]);
    // sendmsg(2) only reads what the pointer leads to.
    let mut part = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
    let mut peer = empty_address();
    peer.sin6_addr.s6_addr = to.ip().octets();
    peer.sin6_port = to.port().to_be();
    peer.sin6_scope_id = to.scope_id();
    let mut message = header(&mut peer, &mut part, &mut control);
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: from.address.octets() },
        ipi6_ifindex: from.interface,
    };
    put(&mut message, info);
    // SAFETY: every pointer of the header leads to a live value of the length beside it.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(clippy::cast_possible_truncation, reason = "the number of the family is 10")]
const fn empty_address() -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    }
}

fn header(peer: &mut libc::sockaddr_in6, part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all of its fields are numbers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_mut(peer).cast();
    message.msg_namelen = length_of::<libc::sockaddr_in6>();
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    message
}

/// The local end that the kernel gave with a datagram.
fn local_end(message: &libc::msghdr) -> Option<LocalEnd> {
    // SAFETY: recvmsg(2) has filled the header, whose control messages lie in live room.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: the macros give null or a whole header within the room.
        let head = unsafe { *next };
        if (head.cmsg_level, head.cmsg_type) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: a message of this kind holds this structure, perhaps not aligned.
            let info: libc::in6_pktinfo =
                unsafe { libc::CMSG_DATA(next).cast::<libc::in6_pktinfo>().read_unaligned() };
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let interface = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            return Some(LocalEnd { address, interface });
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    None
}

/// Puts the local end into a header whose room is empty.
fn put(message: &mut libc::msghdr, info: libc::in6_pktinfo) {
    let size = length_of::<libc::in6_pktinfo>();
    // SAFETY: the macros only compute with this number.
    let (length, space) = unsafe { (libc::CMSG_LEN(size), libc::CMSG_SPACE(size)) };
    message.msg_controllen = space as usize;
    // SAFETY: the room holds at least one message of this size, so the first header is whole.
    let head = unsafe { &mut *libc::CMSG_FIRSTHDR(message) };
    head.cmsg_level = libc::IPPROTO_IPV6;
    head.cmsg_type = libc::IPV6_PKTINFO;
    head.cmsg_len = length as usize;
    // SAFETY: behind the header there is room for the structure.
    unsafe { libc::CMSG_DATA(head).cast::<libc::in6_pktinfo>().write_unaligned(info) };
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn an_answer_comes_from_the_address_that_was_asked() {
        let server = crate::inet::udp_server((Ipv6Addr::UNSPECIFIED, 0).into()).expect("a socket");
        enable(&server).expect("enabled");
        let port = server.local_addr().expect("an address").port();
        let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket");
        client.connect((Ipv6Addr::LOCALHOST, port)).expect("connected");
        client.send(b"question").expect("sent");
        let mut buffer = [0; 16];
        let (length, peer, local) = receive(&server, &mut buffer).expect("received");
        assert_eq!(
            (&buffer[..length], peer.port()),
            (&b"question"[..], client.local_addr().expect("one").port())
        );
        assert_eq!(local, LocalEnd { address: Ipv6Addr::LOCALHOST, interface: 0 });
        assert_eq!(receive(&server, &mut buffer).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        send(&server, b"answer", peer, local).expect("sent");
        assert_eq!(client.recv(&mut buffer).expect("received"), 6);
    }
}
