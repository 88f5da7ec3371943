//! A seqpacket socket in the async world: whole packets, each with at most one descriptor.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StandardStream;

use shim_protocol::MAXIMUM_MESSAGE;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// One connected socket. It is registered as a stream, but only ever read and written by packets.
pub(super) struct Channel(UnixStream);

impl Channel {
    /// Takes a connected socket and makes it non-blocking.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = StandardStream::from(socket);
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket).map(Self)
    }

    /// Takes a connected socket that is non-blocking already.
    pub(super) fn of_nonblocking(socket: OwnedFd) -> io::Result<Self> {
        UnixStream::from_std(StandardStream::from(socket)).map(Self)
    }

    /// Sends one packet.
    pub(super) async fn send(&self, packet: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, || sys::seqpacket::send(&self.0, packet, descriptor)).await
    }

    /// Sends one packet; `WouldBlock` when there is no room for it.
    pub(super) fn send_now(&self, packet: &[u8]) -> io::Result<()> {
        sys::seqpacket::send(&self.0, packet, None)
    }

    /// Receives one packet that has arrived already; `WouldBlock` when there is none.
    pub(super) fn receive_now(&self) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
        sys::seqpacket::receive(&self.0, MAXIMUM_MESSAGE)
    }

    /// Receives one packet; `None` when the peer is gone.
    pub(super) async fn receive(&self) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
        self.0.async_io(Interest::READABLE, || sys::seqpacket::receive(&self.0, MAXIMUM_MESSAGE)).await
    }
}
