//! The sockets at which the container's queries arrive.
//!
//! They are at random ports of 127.0.0.11, to which [`super::redirect`] leads what is sent to port 53: so port
//! 53 is free for servers of the container, whatever address they bind.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};

use sys::epoll::{Interest, Poller};
use sys::{inet, network_namespace};

use super::redirect::{self, ADDRESS, Ports};
use crate::token::{NamesPart, Token};

/// The sockets for UDP and TCP.
pub(super) struct Listening {
    datagrams: UdpSocket,
    listener: TcpListener,
}

impl Listening {
    /// Opens both in the network namespace of the calling thread, where init has not yet set up the loopback.
    pub(super) fn open() -> io::Result<Self> {
        network_namespace::raise_loopback()?;
        let any = SocketAddrV4::new(ADDRESS, 0);
        let listening =
            Self { datagrams: inet::udp_server(any.into())?, listener: inet::tcp_server(any.into())? };
        redirect::make(listening.ports()?)?;
        Ok(listening)
    }

    /// Where it listens.
    pub(super) fn ports(&self) -> io::Result<Ports> {
        Ok(Ports {
            datagrams: self.datagrams.local_addr()?.port(),
            connections: self.listener.local_addr()?.port(),
        })
    }

    pub(super) fn register(&self, poller: &Poller) -> io::Result<()> {
        poller.add(&self.datagrams, Token::Names(NamesPart::Datagrams).pack(), Interest::READ)?;
        poller.add(&self.listener, Token::Names(NamesPart::Listener).pack(), Interest::READ)
    }

    /// Waits for queries or does not.
    pub(super) fn listen(&self, listens: bool, poller: &Poller) {
        let interest = Interest { read: listens, write: false };
        // Neither fails: both are in the set.
        let _ = poller.modify(&self.datagrams, Token::Names(NamesPart::Datagrams).pack(), interest);
        let _ = poller.modify(&self.listener, Token::Names(NamesPart::Listener).pack(), interest);
    }

    /// The next datagram: its length and its sender.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.datagrams.recv_from(buffer).ok()
    }

    /// Sends an answer. One that cannot be sent is lost, as datagrams may be.
    pub(super) fn send(&self, answer: &[u8], client: SocketAddr) {
        let _ = self.datagrams.send_to(answer, client);
    }

    /// The next connection; `None` when none is waiting.
    pub(super) fn accept(&self) -> io::Result<Option<TcpStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => stream.set_nonblocking(true).map(|()| Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // It was broken before it could be accepted, accept(2).
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
            Err(error) => Err(error),
        }
    }
}
