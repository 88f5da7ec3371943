//! Sockets that systemd passes, sd_listen_fds(3).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::net::AddressFamily;
use rustix::net::sockopt::{socket_acceptconn, socket_domain};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::{ListenError, Listener};

/// The first passed descriptor.
const FIRST: i32 = 3;

/// A passed socket with the name its unit gives it.
pub(super) struct PassedSocket {
    number: i32,
    name: String,
    descriptor: OwnedFd,
}

/// All sockets that were passed to this very process.
pub(super) fn passed_sockets() -> Vec<PassedSocket> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let count = count_for(&variable("LISTEN_PID"), &variable("LISTEN_FDS"), std::process::id());
    let names = variable("LISTEN_FDNAMES");
    let mut names = names.split(':');
    engine::sys::activation::take_descriptors(FIRST, count)
        .into_iter()
        .map(|(number, descriptor)| PassedSocket {
            number,
            name: names.next().unwrap_or_default().to_owned(),
            descriptor,
        })
        .collect()
}

fn count_for(listen_pid: &str, listen_fds: &str, own_pid: u32) -> i32 {
    if listen_pid.parse() == Ok(own_pid) { listen_fds.parse().unwrap_or(0).clamp(0, 1024) } else { 0 }
}

/// Takes all sockets, or those of a number or name.
pub(super) fn take(
    passed: &mut Vec<PassedSocket>,
    wanted: Option<&str>,
) -> Result<Vec<PassedSocket>, ListenError> {
    let fits = |socket: &PassedSocket| match wanted {
        None => true,
        Some(wanted) => socket.name == wanted || wanted.parse() == Ok(socket.number),
    };
    let (taken, left) = std::mem::take(passed).into_iter().partition(fits);
    *passed = left;
    let taken: Vec<PassedSocket> = taken;
    if taken.is_empty() {
        return Err(ListenError::NotPassed(wanted.map(|wanted| format!(" {wanted:?}")).unwrap_or_default()));
    }
    Ok(taken)
}

/// Makes a listener of a passed socket.
pub(super) fn listener(
    socket: PassedSocket,
    acceptor: Option<Arc<TlsAcceptor>>,
) -> Result<Listener, ListenError> {
    let descriptor = socket.descriptor;
    let problem = |error: rustix::io::Errno| ListenError::Passed(error.into());
    if !socket_acceptconn(descriptor.as_fd()).map_err(problem)? {
        return Err(ListenError::Passed(std::io::Error::other("it is not listening")));
    }
    match socket_domain(descriptor.as_fd()).map_err(problem)? {
        AddressFamily::UNIX => {
            let listener = std::os::unix::net::UnixListener::from(descriptor);
            listener.set_nonblocking(true).map_err(ListenError::Passed)?;
            Ok(Listener::Unix(UnixListener::from_std(listener).map_err(ListenError::Passed)?, None))
        }
        AddressFamily::INET | AddressFamily::INET6 => {
            let listener = std::net::TcpListener::from(descriptor);
            listener.set_nonblocking(true).map_err(ListenError::Passed)?;
            if acceptor.is_none() {
                tracing::warn!(
                    "THE TCP SOCKET OF systemd IS SERVED WITHOUT TLS: EVERYONE WHO CAN REACH IT HAS ROOT ON THIS HOST"
                );
            }
            Ok(Listener::Tcp(TcpListener::from_std(listener).map_err(ListenError::Passed)?, acceptor))
        }
        _ => Err(ListenError::Passed(std::io::Error::other("it is neither a unix nor a TCP socket"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_process_is_meant() {
        assert_eq!(count_for("7", "2", 7), 2);
        assert_eq!(count_for("8", "2", 7), 0);
        assert_eq!(count_for("", "", 7), 0);
        assert_eq!(count_for("7", "x", 7), 0);
    }

    #[test]
    fn nothing_passed_is_an_error() {
        assert!(matches!(take(&mut Vec::new(), None), Err(ListenError::NotPassed(_))));
    }
}
