//! Sockets of UDP and TCP whose calls return `WouldBlock` instead of waiting.
//!
//! They are made in the network namespace of the calling thread and stay in it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// How many connections wait to be accepted.
const BACKLOG: i32 = 128;

/// The time without data after which a connection's peer is probed (TCP keep-alive), and between probes.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How often a port that is taken is tried, and how long it takes until the next attempt.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(2);

/// Binds a socket, for some 20 milliseconds also where its port is taken: one that was freed a moment ago may still be
/// held by a copy of its socket, in a child between its fork and its execution of a program, which closes it.
///
/// # Errors
/// Those of `bind`.
pub fn bind_patiently<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(BETWEEN_ATTEMPTS),
            result => return result,
        }
    }
    bind()
}

/// Makes a socket of UDP at an address; port 0 is any free one. At one of IPv6 it gets nothing of IPv4.
///
/// # Errors
/// When the port is taken or the address is not there.
pub fn udp_server(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bound(SocketType::DGRAM, address)?;
    Ok(socket.into())
}

/// Listens for TCP at an address; port 0 is any free one. At one of IPv6 it gets nothing of IPv4. Past connections of a
/// server that had the port before do not count.
///
/// # Errors
/// When the port is taken or the address is not there.
pub fn tcp_server(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(SocketType::STREAM, address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn bound(kind: SocketType, address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::of(address), kind)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// Makes a socket of UDP that sends to one peer and receives only from it, at a port that the kernel chooses
/// at random.
///
/// # Errors
/// When there is no route to the peer.
pub fn udp_client(peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(AddressFamily::of(peer), SocketType::DGRAM)?;
    rustix::net::connect(&socket, &peer)?;
    Ok(socket.into())
}

/// Begins a connection of TCP. It is writable once it is made or has failed.
///
/// # Errors
/// When there is no route to the peer.
pub fn tcp_client(peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::of(peer), SocketType::STREAM)?;
    match rustix::net::connect(&socket, &peer) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// Ends a connection whose peer has vanished, some minutes later.
///
/// # Errors
/// Those of setsockopt(2).
pub fn keep_alive(stream: impl AsFd) -> io::Result<()> {
    let stream = stream.as_fd();
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    Ok(sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE)?)
}

/// How many descriptors this process may have.
#[must_use]
pub fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

trait FamilyOf {
    fn of(address: SocketAddr) -> Self;
}

impl FamilyOf for AddressFamily {
    fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::INET,
            SocketAddr::V6(_) => Self::INET6,
        }
    }
}

fn socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;

    #[test]
    fn a_port_that_is_freed_soon_is_tried_again_and_another_failure_is_not() {
        let taken = || io::Error::from(io::ErrorKind::AddrInUse);
        let mut answers = vec![Ok("bound"), Err(taken()), Err(taken())];
        assert_eq!(bind_patiently(|| answers.pop().expect("an answer")).expect("bound"), "bound");
        let mut count = 0;
        let mut refuse = |kind: io::ErrorKind| {
            count = 0;
            let refused = bind_patiently::<()>(|| {
                count += 1;
                Err(kind.into())
            });
            assert_eq!(refused.expect_err("a refusal").kind(), kind);
            count
        };
        assert_eq!(refuse(io::ErrorKind::AddrInUse), ATTEMPTS);
        assert_eq!(refuse(io::ErrorKind::AddrNotAvailable), 1);
    }

    #[test]
    fn nothing_waits_and_datagrams_of_others_do_not_arrive() {
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into();
        let server = udp_server(any).expect("a socket");
        let client = udp_client(server.local_addr().expect("an address")).expect("a socket");
        let other = udp_server(any).expect("a socket");
        assert_eq!(client.recv(&mut [0; 8]).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        let address = client.local_addr().expect("an address");
        other.send_to(b"other", address).expect("sent");
        server.send_to(b"server", address).expect("sent");
        let mut buffer = [0; 8];
        assert_eq!(client.recv(&mut buffer).expect("received"), 6);
        assert_eq!(client.recv(&mut buffer).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
    }
}
