//! Network namespaces of single threads, network_namespaces(7).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::netlink::{ACKNOWLEDGE, Message, Protocol, Socket};

/// Gives the calling thread a new, empty network namespace. It lasts as long as something is in
/// it or holds it; sockets stay in the namespace in which they were opened.
///
/// # Errors
/// Those of unshare(2): root only.
pub fn unshare() -> io::Result<()> {
    // SAFETY: CLONE_NEWNET touches no memory and only the calling thread's view of the network.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a new, empty network namespace that nothing is in. The calling thread stays where it is.
///
/// # Errors
/// Those of unshare(2): root only.
pub fn make() -> io::Result<OwnedFd> {
    let present = || File::open("/proc/thread-self/ns/net");
    let home = present()?;
    unshare()?;
    let made = present();
    come_back(home.as_fd());
    Ok(made?.into())
}

/// Moves the calling thread into the network namespace.
///
/// # Errors
/// Those of setns(2): root only.
pub fn join(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
}

/// Runs a function with the calling thread in the network namespace, which returns to `home` afterwards.
/// Sockets that are opened meanwhile stay there. Other threads are not moved.
///
/// # Errors
/// Those of setns(2): root only; then nothing is done.
pub fn within<T>(namespace: BorrowedFd<'_>, home: BorrowedFd<'_>, act: impl FnOnce() -> T) -> io::Result<T> {
    join(namespace)?;
    let done = act();
    come_back(home);
    Ok(done)
}

/// It only fails while the kernel has no memory for it, and the thread must not stay.
fn come_back(home: BorrowedFd<'_>) {
    while join(home).is_err() {
        std::thread::yield_now();
    }
}

/// Brings the loopback of the calling thread's network namespace up, with which 127.0.0.0/8 is there. One that
/// is up stays so.
///
/// # Errors
/// Those of netlink(7): root only.
pub fn raise_loopback() -> io::Result<()> {
    const LOOPBACK: u32 = 1;
    let up = libc::IFF_UP.cast_unsigned().to_ne_bytes();
    // `struct ifinfomsg`: family, pad, type, index, flags, changed flags.
    let fixed = [[0; 4], LOOPBACK.to_ne_bytes(), up, up].concat();
    let message = Message::new(libc::RTM_NEWLINK, ACKNOWLEDGE).fixed(&fixed);
    Socket::open(Protocol::Route)?.request(&[message]).map(drop).map_err(|error| error.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_made_without_moving_the_thread() {
        let link = || std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace");
        std::thread::spawn(move || {
            let before = link();
            let made = make().expect("root");
            assert_eq!(link(), before);
            join(made.as_fd()).expect("root");
            assert_ne!(link(), before);
        })
        .join()
        .expect("it ended");
    }

    #[test]
    fn a_thread_comes_back_from_a_namespace_whose_loopback_it_raised() {
        let link = || std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace");
        let open = || File::open("/proc/thread-self/ns/net").expect("a namespace");
        std::thread::spawn(move || {
            let (home, before) = (open(), link());
            unshare().expect("root");
            let (other, inside) = (open(), link());
            join(home.as_fd()).expect("root");
            assert_eq!(within(other.as_fd(), home.as_fd(), link).expect("root"), inside);
            assert_ne!(before, inside);
            let socket = || std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
            let is_up = || socket().connect("127.0.0.11:53").is_ok();
            let raised = || (is_up(), raise_loopback().is_ok(), raise_loopback().is_ok(), is_up());
            assert_eq!(within(other.as_fd(), home.as_fd(), raised).expect("root"), (false, true, true, true));
            assert_eq!(link(), before);
        })
        .join()
        .expect("it ended");
    }
}
