//! Where clients of one relayed port come.

use std::io;
use std::net::{SocketAddrV6, TcpListener, TcpStream, UdpSocket};

use model::Protocol;
use shim_protocol::RelayedPort;
use sys::epoll::{Interest, Poller};
use sys::inet;
use sys::packet_info::{self, LocalEnd};

use crate::token::{RelayPart, Token};

/// One port and its socket.
pub(super) struct Listening {
    pub(super) port: RelayedPort,
    socket: Socket,
}

enum Socket {
    Connections(TcpListener),
    Datagrams(UdpSocket),
}

/// The accepted peer.
pub(super) enum Accepted {
    Connection(TcpStream),
    /// In the buffer there are so many bytes of a client, sent to this end.
    Datagram {
        length: usize,
        client: SocketAddrV6,
        local: LocalEnd,
    },
    Nothing,
}

impl Listening {
    pub(super) fn open(port: RelayedPort) -> io::Result<Self> {
        let address = port.host.into();
        // Until now the daemon has held the port for it.
        let socket = match port.protocol {
            Protocol::Tcp => Socket::Connections(inet::bind_patiently(|| inet::tcp_server(address))?),
            Protocol::Udp => {
                let socket = inet::bind_patiently(|| inet::udp_server(address))?;
                packet_info::enable(&socket)?;
                Socket::Datagrams(socket)
            }
        };
        Ok(Self { port, socket })
    }

    pub(super) fn register(&self, id: u32, waits: bool, poller: &Poller) -> io::Result<()> {
        let (token, interest) =
            (Token::Relay(RelayPart::Listener(id)).pack(), Interest { read: waits, write: false });
        match &self.socket {
            Socket::Connections(listener) => poller.add(listener, token, interest),
            Socket::Datagrams(socket) => poller.add(socket, token, Interest::READ),
        }
    }

    /// Waits for connections, or leaves them to the kernel. Datagrams need no room.
    pub(super) fn wait_for_clients(&self, id: u32, waits: bool, poller: &Poller) {
        if let Socket::Connections(listener) = &self.socket {
            let interest = Interest { read: waits, write: false };
            // It is in the set.
            let _ = poller.modify(listener, Token::Relay(RelayPart::Listener(id)).pack(), interest);
        }
    }

    /// The next client or datagram.
    pub(super) fn accept(&self, buffer: &mut [u8]) -> io::Result<Accepted> {
        let accepted = match &self.socket {
            Socket::Connections(listener) => listener.accept().and_then(|(client, _)| {
                client.set_nonblocking(true)?;
                Ok(Accepted::Connection(client))
            }),
            Socket::Datagrams(socket) => packet_info::receive(socket, buffer)
                .map(|(length, client, local)| Accepted::Datagram { length, client, local }),
        };
        match accepted {
            // A connection that was broken before it could be accepted, accept(2), or a datagram without a
            // receiver.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::InvalidData
                ) =>
            {
                Ok(Accepted::Nothing)
            }
            other => other,
        }
    }

    /// Sends an answer to a client of UDP. One that cannot be sent is lost, as datagrams may be.
    pub(super) fn answer(&self, datagram: &[u8], client: SocketAddrV6, local: LocalEnd) {
        if let Socket::Datagrams(socket) = &self.socket {
            let _ = packet_info::send(socket, datagram, client, local);
        }
    }
}
