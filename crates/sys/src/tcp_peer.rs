//! The other end of a TCP connection, where that is on this host too, sock_diag(7).
//!
//! Behind a full window a connection's end does not arrive: only the other socket itself shows that it was closed.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};

use rustix::io::Errno;

use crate::netlink::{ACKNOWLEDGE, Message, Protocol, Socket};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const BY_FAMILY: u16 = 20;
/// Where `struct inet_diag_msg` of linux/inet_diag.h has the socket's state.
const STATE: usize = 1;
/// The states of sockets that may still send, include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;

/// Whether the other end of a connection of IPv4 has sent its last: closed, or shut down for writing. Both ends must be in
/// the network namespace of the calling thread.
///
/// # Errors
/// The kernel's, for example where it does not describe sockets; [`io::ErrorKind::NotConnected`] when there is no such
/// connection.
pub fn has_closed(local: SocketAddrV4, peer: SocketAddrV4) -> io::Result<bool> {
    let mut kernel = Socket::open(Protocol::SocketDiagnosis)?;
    // A kernel without socket diagnostics answers the same as for a missing socket.
    if state(&mut kernel, local, peer)?.is_none() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    Ok(!matches!(state(&mut kernel, peer, local)?, Some(ESTABLISHED | CLOSE_WAIT)))
}

/// The state of a socket, if it is there.
fn state(kernel: &mut Socket, own: SocketAddrV4, other: SocketAddrV4) -> io::Result<Option<u8>> {
    match kernel.request(&[Message::new(BY_FAMILY, ACKNOWLEDGE).fixed(&question(own, other))]) {
        Ok(replies) => Ok(replies.first().and_then(|reply| reply.payload.get(STATE)).copied()),
        Err(error) if error.is(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.source),
    }
}

/// `struct inet_diag_req_v2` of linux/inet_diag.h: the socket with these addresses, whatever its state and its cookie.
fn question(own: SocketAddrV4, other: SocketAddrV4) -> Vec<u8> {
    let family = u8::try_from(libc::AF_INET).unwrap_or_default();
    let protocol = u8::try_from(libc::IPPROTO_TCP).unwrap_or_default();
    let mut question = vec![family, protocol, 0, 0];
    question.extend_from_slice(&u32::MAX.to_ne_bytes());
    question.extend_from_slice(&own.port().to_be_bytes());
    question.extend_from_slice(&other.port().to_be_bytes());
    for address in [own, other] {
        question.extend_from_slice(&address.ip().octets());
        question.extend_from_slice(&[0; 12]);
    }
    question.extend_from_slice(&[0; 4]);
    question.extend_from_slice(&[u8::MAX; 8]);
    question
}

/// The addresses of a connection of IPv4; nothing for others.
#[must_use]
pub fn ipv4_pair(local: SocketAddr, peer: SocketAddr) -> Option<(SocketAddrV4, SocketAddrV4)> {
    match (local, peer) {
        (SocketAddr::V4(local), SocketAddr::V4(peer)) => Some((local, peer)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn an_end_behind_a_full_window_is_seen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let connect = || {
            let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a client");
            let (server, peer) = listener.accept().expect("a connection");
            let local = server.local_addr().expect("an address");
            let (local, peer) = ipv4_pair(local, peer).expect("IPv4");
            (client, server, move || has_closed(local, peer))
        };
        for closes in [true, false] {
            let (mut client, _server, has_closed) = connect();
            client.set_nonblocking(true).expect("a socket");
            while client.write(&[0; 65536]).is_ok() {}
            assert!(!has_closed().expect("a state"));
            if closes {
                drop(client);
            } else {
                client.shutdown(Shutdown::Write).expect("a shutdown");
            }
            assert!(has_closed().expect("a state"));
        }
        let (client, server, has_closed) = connect();
        server.shutdown(Shutdown::Write).expect("a shutdown");
        assert!(!has_closed().expect("a state"), "a client that may still send");
        drop((client, server));
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let error = super::has_closed(nobody, nobody).expect_err("no connection");
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }
}
