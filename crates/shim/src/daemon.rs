//! The shim's side of the control socket: one daemon at a time, the newest wins.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use shim_protocol::{
    Envelope, Failure, FailureKind, MAXIMUM_MESSAGE, Notice, PROTOCOL, Pieces, Received, UNNUMBERED, packets,
};
use sys::epoll::{Interest, Poller};
use sys::seqpacket;

use crate::token::Token;

/// More notices than this that a daemon does not take cut it off: it can connect again and gets a
/// snapshot.
const MAXIMUM_WAITING: usize = 4096;

/// A notice on its way, with its descriptor.
type Packet = (Vec<u8>, Option<OwnedFd>);

/// A message from the daemon.
pub(crate) enum Incoming {
    /// A request, with its descriptor.
    Request(Envelope, Option<OwnedFd>),
    /// An unknown request, by its number.
    Unsupported(u64),
}

/// The socket at which daemons arrive.
struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// The file at the path, as long as it is this socket.
    file: Option<(u64, u64)>,
}

/// The connection to the daemon, and the socket at which the next one arrives.
pub(crate) struct Daemon {
    connection: Option<OwnedFd>,
    listener: Option<Listener>,
    waiting: VecDeque<Packet>,
    /// Whether the poller waits for room to send.
    blocked: bool,
    /// The protocol of the present daemon.
    protocol: u32,
    /// The received packets of a message that is longer than one.
    pieces: Pieces,
}

impl Daemon {
    /// Listens at a path and takes the connection that the shim was born with.
    pub(crate) fn new(connection: OwnedFd, path: PathBuf, poller: &Poller) -> io::Result<Self> {
        let socket = seqpacket::listen(&path)?;
        seqpacket::set_nonblocking(&socket)?;
        poller.add(&socket, Token::Listener.pack(), Interest::READ)?;
        let file = file_at(&path);
        let mut daemon = Self {
            connection: None,
            listener: Some(Listener { socket, path, file }),
            waiting: VecDeque::new(),
            blocked: false,
            protocol: UNNUMBERED,
            pieces: Pieces::default(),
        };
        daemon.take(connection, poller)?;
        Ok(daemon)
    }

    fn take(&mut self, connection: OwnedFd, poller: &Poller) -> io::Result<()> {
        seqpacket::set_nonblocking(&connection)?;
        poller.add(&connection, Token::Daemon.pack(), Interest::READ)?;
        self.waiting.clear();
        self.blocked = false;
        self.protocol = UNNUMBERED;
        self.pieces = Pieces::default();
        self.connection = Some(connection);
        self.notify(&Notice::Hello { protocol: PROTOCOL }, None, poller);
        Ok(())
    }

    /// Takes the next daemon in place of the present one; false when none is there.
    pub(crate) fn accept(&mut self, poller: &Poller) -> bool {
        let accepted = self.listener.as_ref().and_then(|listener| seqpacket::accept(&listener.socket).ok());
        let Some(connection) = accepted else { return false };
        self.disconnect(poller);
        self.take(connection, poller).is_ok()
    }

    /// Whether a daemon is there.
    pub(crate) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Ends the present connection, also where a process that the shim has forked still holds it.
    pub(crate) fn disconnect(&mut self, poller: &Poller) {
        if let Some(connection) = self.connection.take() {
            let _ = poller.remove(&connection);
            let _ = seqpacket::shut_down(&connection);
        }
        self.waiting.clear();
    }

    /// Accepts no further connections. The socket of the container's next shim, in the same place, stays.
    pub(crate) fn stop_listening(&mut self, poller: &Poller) {
        if let Some(listener) = self.listener.take() {
            let _ = poller.remove(&listener.socket);
            if listener.file.is_some() && file_at(&listener.path) == listener.file {
                let _ = std::fs::remove_file(&listener.path);
            }
        }
    }

    /// Ends everything.
    pub(crate) fn close(&mut self, poller: &Poller) {
        self.stop_listening(poller);
        self.disconnect(poller);
    }

    /// The daemon has sent its protocol.
    pub(crate) const fn speaks(&mut self, protocol: u32) {
        self.protocol = protocol;
    }

    /// The daemon's next message; `None` when there is none now. Ends the connection when the daemon is gone
    /// or sends what cannot be read. A daemon without a protocol number expects that of an unknown request
    /// too.
    pub(crate) fn receive(&mut self, poller: &Poller) -> Option<Incoming> {
        loop {
            let received = seqpacket::receive(self.connection.as_ref()?, MAXIMUM_MESSAGE);
            let (packet, descriptor) = match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Ok(Some(received)) => received,
                Ok(None) | Err(_) => {
                    self.disconnect(poller);
                    return None;
                }
            };
            let message = match self.pieces.take(packet) {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(_) => {
                    self.disconnect(poller);
                    return None;
                }
            };
            match Envelope::read(&message) {
                Received::Known(envelope) => return Some(Incoming::Request(envelope, descriptor)),
                Received::Unknown { number } if self.protocol > UNNUMBERED => {
                    return Some(Incoming::Unsupported(number));
                }
                Received::Unknown { .. } | Received::Unreadable(_) => self.disconnect(poller),
            }
            return None;
        }
    }

    /// Sends the daemon a notice; nothing is kept for one that is not there.
    pub(crate) fn notify(&mut self, notice: &Notice, beside: Option<BorrowedFd<'_>>, poller: &Poller) {
        if self.connection.is_none() || notice.since() > self.protocol {
            return;
        }
        let Ok(message) = serde_json::to_vec(notice) else {
            return;
        };
        let Ok(packets) = packets(&message, self.protocol) else {
            return self.refuse_too_long(notice, poller);
        };
        let mut beside = beside.and_then(|descriptor| descriptor.try_clone_to_owned().ok());
        let last = packets.len() - 1;
        for (number, packet) in packets.into_iter().enumerate() {
            let beside = if number == last { beside.take() } else { None };
            self.waiting.push_back((packet.into_owned(), beside));
        }
        self.flush(poller);
        if self.waiting.len() > MAXIMUM_WAITING {
            self.disconnect(poller);
        }
    }

    /// Reports to the daemon that an answer is longer than it accepts.
    fn refuse_too_long(&mut self, notice: &Notice, poller: &Poller) {
        if let Notice::Reply { number, .. } = notice {
            let message = "the answer of the container's shim is longer than this release takes".to_owned();
            let result = Err(Failure { kind: FailureKind::System, message });
            self.notify(&Notice::Reply { number: *number, result }, None, poller);
        }
    }

    /// Sends what waits, as far as the daemon takes it.
    pub(crate) fn flush(&mut self, poller: &Poller) {
        let Some(connection) = self.connection.as_ref() else {
            return;
        };
        while let Some((packet, beside)) = self.waiting.front() {
            match seqpacket::send(connection, packet, beside.as_ref().map(AsFd::as_fd)) {
                Ok(()) => self.waiting.pop_front(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.disconnect(poller),
            };
        }
        let blocked = !self.waiting.is_empty();
        if blocked != self.blocked {
            let interest = Interest { read: true, write: blocked };
            let _ = poller.modify(connection, Token::Daemon.pack(), interest);
            self.blocked = blocked;
        }
    }
}

/// The file system and the inode of a path; they are not reused while the socket is open.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use shim_protocol::{Answer, Request};

    use super::*;

    struct Ends {
        daemon: Daemon,
        poller: Poller,
        socket: OwnedFd,
        pieces: Pieces,
    }

    impl Ends {
        fn new(name: &str, protocol: u32) -> Self {
            let path = std::env::temp_dir().join(format!("berth-shim-{}-{name}", std::process::id()));
            let poller = Poller::new().expect("a poller");
            let (socket, theirs) = seqpacket::pair().expect("a pair");
            seqpacket::set_nonblocking(&socket).expect("a socket");
            let mut daemon = Daemon::new(theirs, path, &poller).expect("a socket");
            daemon.speaks(protocol);
            let mut ends = Self { daemon, poller, socket, pieces: Pieces::default() };
            assert!(matches!(ends.notice(), Notice::Hello { .. }));
            ends
        }

        fn notice(&mut self) -> Notice {
            loop {
                self.daemon.flush(&self.poller);
                let received = seqpacket::receive(&self.socket, MAXIMUM_MESSAGE).expect("a packet");
                let (packet, _) = received.expect("a shim");
                assert!(packet.len() <= shim_protocol::MAXIMUM_PACKET);
                if let Some(message) = self.pieces.take(packet).expect("it fits") {
                    return serde_json::from_slice(&message).expect("JSON");
                }
            }
        }
    }

    impl Drop for Ends {
        fn drop(&mut self) {
            self.daemon.close(&self.poller);
        }
    }

    fn many() -> (Vec<u32>, Notice) {
        let pids: Vec<u32> = (1_000_000..1_100_000).collect();
        (pids.clone(), Notice::Reply { number: 1, result: Ok(Answer::Processes(pids)) })
    }

    #[test]
    fn the_processes_of_a_large_container_come_in_pieces() {
        let mut ends = Ends::new("pieces", PROTOCOL);
        let (pids, notice) = many();
        ends.daemon.notify(&notice, None, &ends.poller);
        let Notice::Reply { result: Ok(Answer::Processes(found)), .. } = ends.notice() else {
            panic!("it is the answer")
        };
        assert!(found == pids && ends.daemon.is_connected());
    }

    #[test]
    fn an_older_daemon_is_told_that_an_answer_is_too_long() {
        let mut ends = Ends::new("older", 6);
        ends.daemon.notify(&many().1, None, &ends.poller);
        let notice = ends.notice();
        assert!(matches!(&notice, Notice::Reply { number: 1, result: Err(_) }), "{notice:?}");
        assert!(ends.daemon.is_connected());
    }

    #[test]
    fn a_request_comes_together_from_its_pieces() {
        let mut ends = Ends::new("request", PROTOCOL);
        let path = "x".repeat(3 * shim_protocol::MAXIMUM_PACKET);
        let unknown = format!(r#"{{"number":5,"request":{{"checkpoint":"{path}"}}}}"#);
        for packet in packets(unknown.as_bytes(), PROTOCOL).expect("it fits") {
            seqpacket::send(&ends.socket, &packet, None).expect("a shim");
            assert!(ends.daemon.is_connected());
            if packet[0] == b')' {
                let read = ends.daemon.receive(&ends.poller);
                assert!(matches!(read, Some(Incoming::Unsupported(5))), "it is whole");
            } else {
                assert!(ends.daemon.receive(&ends.poller).is_none(), "only a piece");
            }
        }
        let next = Envelope { number: 6, request: Request::Statistics };
        seqpacket::send(&ends.socket, &serde_json::to_vec(&next).expect("JSON"), None).expect("a shim");
        let read = ends.daemon.receive(&ends.poller);
        assert!(matches!(read, Some(Incoming::Request(Envelope { number: 6, .. }, None))));
    }

    #[test]
    fn a_connection_that_a_forked_process_holds_ends_with_the_next_daemon() {
        let mut ends = Ends::new("forked", PROTOCOL);
        let inherited = ends.daemon.connection.as_ref().expect("one").try_clone().expect("a copy");
        let path = ends.daemon.listener.as_ref().expect("one").path.clone();
        let next = seqpacket::connect(&path).expect("the shim listens");
        assert!(ends.daemon.accept(&ends.poller));
        let request = Envelope { number: 1, request: Request::Statistics };
        let sent = seqpacket::send(&ends.socket, &serde_json::to_vec(&request).expect("JSON"), None);
        assert!(sent.is_err(), "the first daemon is told");
        assert!(seqpacket::receive(&ends.socket, MAXIMUM_MESSAGE).expect("an end").is_none());
        let mut events = Vec::new();
        ends.poller.wait(&mut events, Some(std::time::Duration::ZERO)).expect("no event");
        assert!(events.is_empty(), "{events:?}");
        drop((inherited, next));
    }

    #[test]
    fn the_next_shims_socket_stays() {
        let mut first = Ends::new("first", PROTOCOL);
        let path = first.daemon.listener.as_ref().expect("one").path.clone();
        std::fs::remove_file(&path).expect("it is there");
        let _second = Ends::new("first", PROTOCOL);
        first.daemon.close(&first.poller);
        seqpacket::connect(&path).expect("the second shim listens");
    }
}
