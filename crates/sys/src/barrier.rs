//! Bytes on a unix stream that the peer reads apart from those behind them.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::event::EventfdFlags;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::stream;

/// Sends to a unix stream socket without waiting: a read that takes these bytes whole takes nothing that is sent behind
/// them. (The rest after a read with a smaller buffer is read like any others.) Returns how many were sent.
///
/// A descriptor of no use is sent with them, for "ancillary data forms a kind of barrier for the received data" (unix(7)).
/// The kernel closes it when the peer reads without space for descriptors, as read(2) and recv(2) do. Where descriptors
/// are used up, the bytes are sent like any others.
///
/// # Errors
/// `WouldBlock` when there is no room; others of send(2).
pub fn send_apart(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let Ok(nothing) = rustix::event::eventfd(0, EventfdFlags::CLOEXEC) else {
        return stream::send(socket, &[bytes]);
    };
    let descriptors = [nothing.as_fd()];
    let sent = rustix::io::retry_on_intr(|| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags)
    });
    match sent {
        // Too many are on their way to processes that have not read them.
        Err(Errno::TOOMANYREFS) => stream::send(socket, &[bytes]),
        sent => Ok(sent?),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn read(peer: &mut UnixStream) -> Vec<u8> {
        let mut buffer = [0; 64];
        let count = peer.read(&mut buffer).expect("bytes");
        buffer[..count].to_vec()
    }

    #[test]
    fn what_is_sent_apart_is_not_read_with_what_follows() {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.write_all(b"before ").expect("room");
        assert_eq!(send_apart(&ours, b"head").expect("room"), 4);
        ours.write_all(b"output ").expect("room");
        ours.write_all(b"and more").expect("room");
        assert_eq!(read(&mut theirs), b"before head");
        assert_eq!(read(&mut theirs), b"output and more");
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(theirs);
        let error = send_apart(&ours, b"head").expect_err("nobody reads it");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
