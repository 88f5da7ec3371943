//! Reading and writing pipes, terminals and sockets without waiting.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrUnix, SocketFlags,
    SocketType,
};
use rustix::pipe::PipeFlags;
use rustix::termios::Winsize;

/// Makes a pipe whose first end reads and whose second writes, as large as is allowed up to `size` bytes.
///
/// # Errors
/// When the kernel has no descriptors left.
pub fn pipe(size: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // An unprivileged limit may forbid it; the usual size works as well.
    let _ = rustix::pipe::fcntl_setpipe_size(&read, size);
    Ok((read, write))
}

/// Reads; nothing is the end.
///
/// # Errors
/// `WouldBlock` on a non-blocking descriptor that has nothing; others of read(2).
pub fn read(descriptor: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::read(&descriptor, &mut *buffer))?)
}

/// How many bytes wait to be read: at either end of a pipe those that are in it, at a terminal's controlling side its output.
///
/// # Errors
/// Those of FIONREAD, ioctl_tty(2).
pub fn unread(descriptor: impl AsFd) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(descriptor)?)
}

/// Writes.
///
/// # Errors
/// `WouldBlock` on a non-blocking descriptor without room; others of write(2).
pub fn write(descriptor: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::write(&descriptor, bytes))?)
}

/// Receives from a socket without waiting, whatever its mode; nothing is the end.
///
/// # Errors
/// `WouldBlock` when there is nothing; others of recv(2).
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let mut pieces = [IoSliceMut::new(buffer)];
    let received = rustix::io::retry_on_intr(|| {
        let mut control = rustix::net::RecvAncillaryBuffer::default();
        rustix::net::recvmsg(
            &socket,
            &mut pieces,
            &mut control,
            RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    Ok(received.bytes)
}

/// Sends to a connected socket without waiting, whatever its mode, and without SIGPIPE.
///
/// # Errors
/// `WouldBlock` when there is no room; others of send(2).
pub fn send(socket: impl AsFd, pieces: &[&[u8]]) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); 4];
    let count = pieces.len().min(slices.len());
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
    }
    Ok(rustix::io::retry_on_intr(|| {
        let mut control = SendAncillaryBuffer::default();
        rustix::net::sendmsg(
            &socket,
            &slices[..count],
            &mut control,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        )
    })?)
}

/// Shuts down a socket's sending direction.
///
/// # Errors
/// When it is not connected any more.
pub fn end_sending(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, Shutdown::Write)?)
}

/// Whether a socket is one within this host (`AF_UNIX`).
///
/// # Errors
/// When the descriptor is no socket.
pub fn is_local(socket: impl AsFd) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_domain(socket)? == AddressFamily::UNIX)
}

/// Raises how much a socket takes before it makes the sender wait, as far as is allowed.
pub fn enlarge_send_buffer(socket: impl AsFd, bytes: usize) {
    if rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, bytes).is_err() {
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, bytes);
    }
}

/// Where a log server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A datagram socket on a network.
    Udp(SocketAddr),
    /// A stream on a network.
    Tcp(SocketAddr),
    /// A stream socket's path.
    Stream(std::path::PathBuf),
    /// A datagram socket's path.
    Datagram(std::path::PathBuf),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(address) | Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Stream(path) | Self::Datagram(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Begins to connect without waiting: a stream over a network is connected when it becomes writable.
///
/// # Errors
/// Those of socket(2) and connect(2).
pub fn connect(peer: &Peer) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let network = |address: &SocketAddr, kind| {
        let family = match address.ip() {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        match rustix::net::connect(&socket, address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(io::Error::from(error)),
        }
    };
    let local = |path: &Path, kind| {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    };
    match peer {
        Peer::Udp(address) => network(address, SocketType::DGRAM),
        Peer::Tcp(address) => network(address, SocketType::STREAM),
        Peer::Stream(path) => local(path, SocketType::STREAM),
        Peer::Datagram(path) => local(path, SocketType::DGRAM),
    }
}

/// Waits until a connection that [`connect`] began is there.
///
/// # Errors
/// What connect(2) fails with in the end, or `TimedOut`.
pub fn await_connection(socket: impl AsFd, timeout: std::time::Duration) -> io::Result<()> {
    let timeout = rustix::time::Timespec::try_from(timeout).map_err(io::Error::other)?;
    let mut wanted = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::OUT)];
    if rustix::io::retry_on_intr(|| rustix::event::poll(&mut wanted, Some(&timeout)))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(rustix::net::sockopt::socket_error(&socket)??)
}

/// Sends one datagram with a descriptor.
///
/// # Errors
/// Those of sendmsg(2).
pub fn send_descriptor(socket: impl AsFd, descriptor: impl AsFd) -> io::Result<()> {
    crate::seqpacket::send(socket, &[], Some(descriptor.as_fd()))
}

/// Sets a terminal's size; the processes on it receive SIGWINCH.
///
/// # Errors
/// When the descriptor is no terminal.
pub fn set_terminal_size(terminal: impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}

/// Writes all bytes, waiting for room also where the descriptor does not wait by itself.
///
/// # Errors
/// `TimedOut` when the peer takes nothing for `timeout`; others of write(2).
pub fn write_all(descriptor: impl AsFd, mut bytes: &[u8], timeout: std::time::Duration) -> io::Result<()> {
    let timeout = rustix::time::Timespec::try_from(timeout).map_err(io::Error::other)?;
    while !bytes.is_empty() {
        match write(&descriptor, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut wanted = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::OUT)];
                if rustix::io::retry_on_intr(|| rustix::event::poll(&mut wanted, Some(&timeout)))? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
