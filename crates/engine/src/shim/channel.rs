//! A seqpacket socket in the async world: whole packets, each with at most one descriptor.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use shim_protocol::MAXIMUM_PACKET;
use tokio::io::unix::AsyncFd;

/// One connected socket.
pub(super) struct Channel(AsyncFd<OwnedFd>);

impl Channel {
    /// Takes a connected socket and makes it non-blocking.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        sys::seqpacket::set_nonblocking(&socket)?;
        AsyncFd::register(socket).map(Self).map_err(|(_, error)| error)
    }

    /// Sends one packet.
    pub(super) async fn send(&self, packet: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        loop {
            let mut ready = self.0.writable().await?;
            match ready.try_io(|socket| sys::seqpacket::send(socket.get_ref(), packet, descriptor)) {
                Ok(result) => return result,
                Err(_not_yet) => {}
            }
        }
    }

    /// Receives one packet; `None` when the peer is gone.
    pub(super) async fn receive(&self) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| sys::seqpacket::receive(socket.get_ref(), MAXIMUM_PACKET)) {
                Ok(result) => return result,
                Err(_not_yet) => {}
            }
        }
    }
}
