//! Sockets that keep packets whole and carry descriptors: `AF_UNIX`, `SOCK_SEQPACKET`, `SCM_RIGHTS`.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// Makes two connected sockets.
///
/// # Errors
/// When the kernel has no descriptors left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

fn socket(more: SocketFlags) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | more;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// A socket's address is at most 107 bytes long (unix(7)); its directory's descriptor stands for the
/// rest of a longer path. The descriptor must stay open while the address is used.
fn address(path: &Path) -> io::Result<(Option<OwnedFd>, SocketAddrUnix)> {
    match SocketAddrUnix::new(path) {
        Ok(address) => return Ok((None, address)),
        Err(Errno::NAMETOOLONG) => {}
        Err(error) => return Err(error.into()),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    let address = SocketAddrUnix::new(&short)?;
    Ok((Some(directory), address))
}

/// Connects to a socket's path, however long.
///
/// # Errors
/// When it has no listener.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    connect_with(SocketFlags::empty(), path)
}

/// Connects to a socket's path without waiting; calls on the socket do not wait either.
///
/// # Errors
/// When it has no listener, `WouldBlock` when its backlog is full.
pub fn connect_nonblocking(path: &Path) -> io::Result<OwnedFd> {
    connect_with(SocketFlags::NONBLOCK, path)
}

fn connect_with(flags: SocketFlags, path: &Path) -> io::Result<OwnedFd> {
    let socket = socket(flags)?;
    let (_directory, address) = address(path)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Makes a socket at a path, however long, and listens; the path must not exist.
///
/// # Errors
/// When the path exists or cannot be made.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket(SocketFlags::empty())?;
    let (_directory, address) = address(path)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 8)?;
    Ok(socket)
}

/// Takes a connection.
///
/// # Errors
/// `WouldBlock` without a waiting connection on a non-blocking socket.
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?)
}

/// Number of the process that listened where this socket is connected to, ended or not, unix(7).
///
/// # Errors
/// Those of getsockopt(2), and when that process is in a PID namespace that this one does not see.
pub fn listener(socket: impl AsFd) -> io::Result<u32> {
    let number = rustix::net::sockopt::socket_peercred(socket)?.pid.as_raw_nonzero().get();
    u32::try_from(number).map_err(io::Error::other)
}

/// Number and descriptor of the process that listened where this socket is connected to, ended or not, unix(7); never those of
/// a process that got the number since.
///
/// # Errors
/// Those of getsockopt(2): before Linux 6.5 the kernel gives no descriptor, and some later ones none of a process that was reaped.
pub fn listening_process(socket: impl AsFd) -> io::Result<(u32, OwnedFd)> {
    let number = listener(&socket)?;
    let mut descriptor: libc::c_int = -1;
    let mut length: libc::socklen_t = 4;
    // SAFETY: the option gives one number, for which there is room; both pointers are valid for the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut descriptor).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made the descriptor for this process (and closes it at an execution), it has no other
    // owner.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok((number, descriptor))
}

/// Ends a connection for both sides, even if its descriptors are held elsewhere.
///
/// # Errors
/// When the descriptor is not a connected socket.
pub fn shut_down(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, rustix::net::Shutdown::Both)?)
}

/// Makes calls on a descriptor return `WouldBlock` instead of waiting.
///
/// # Errors
/// When the descriptor cannot.
pub fn set_nonblocking(descriptor: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&descriptor)?;
    Ok(rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK)?)
}

/// Sends one packet, with a descriptor if there is one.
///
/// # Errors
/// `WouldBlock` when the peer's queue is full, `BrokenPipe` when the peer is gone.
pub fn send(socket: impl AsFd, packet: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.as_slice();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one packet of at most `limit` bytes and its descriptor; `None` when the peer is gone.
///
/// # Errors
/// `WouldBlock` when none has arrived; `InvalidData` when the packet is longer than the limit.
pub fn receive(socket: impl AsFd, limit: usize) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
    let length = rustix::io::retry_on_intr(|| {
        rustix::net::recv(&socket, &mut [0_u8; 1][..], RecvFlags::PEEK | RecvFlags::TRUNC)
    })?
    .1;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet is longer than allowed"));
    }
    let mut packet = vec![0; length.max(1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut packet)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    if received.bytes == 0 {
        return Ok(None);
    }
    packet.truncate(received.bytes);
    Ok(Some((packet, descriptor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_no_obstacle() {
        let directory =
            std::env::temp_dir().join(format!("berth-{}-{}", std::process::id(), "x".repeat(120)));
        std::fs::create_dir(&directory).expect("a directory");
        let path = directory.join("socket");
        let listener = listen(&path).expect("a listener");
        let _client = connect(&path).expect("a connection");
        accept(&listener).expect("the same connection");
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn the_process_that_listens_is_named_by_the_kernel() {
        let path = std::env::temp_dir().join(format!("berth-listener-{}", std::process::id()));
        let _listener = listen(&path).expect("a listener");
        let client = connect_nonblocking(&path).expect("a connection");
        std::fs::remove_file(&path).expect("removed");
        match listening_process(&client) {
            Ok((number, descriptor)) => {
                assert_eq!(number, std::process::id());
                assert!(!crate::process::has_ended(&descriptor));
            }
            // Before Linux 6.5.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT)),
        }
    }

    #[test]
    fn packets_stay_whole_and_carry_descriptors() {
        let (ours, theirs) = pair().expect("a pair");
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        send(&ours, b"one", None).expect("send");
        send(&ours, b"second", Some(write.as_fd())).expect("send");
        drop(write);
        assert_eq!(receive(&theirs, 10).expect("receive").expect("open").0, b"one");
        let (packet, descriptor) = receive(&theirs, 10).expect("receive").expect("open");
        assert_eq!(packet, b"second");
        rustix::io::write(descriptor.expect("a descriptor"), b"x").expect("write");
        assert_eq!(rustix::io::read(&read, &mut [0; 8][..]).expect("read"), 1);
        drop(ours);
        assert!(receive(&theirs, 10).expect("receive").is_none());
    }
}
