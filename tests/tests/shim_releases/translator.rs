//! A socket between a daemon and a shim that translates both to an earlier protocol. A request that this protocol does
//! not have ends the connection in protocol 1 and is answered "unsupported" since, as it was then.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};
use serde_json::{Value, json};

/// No packet is larger, in bytes.
const MAXIMUM_PACKET: usize = 192 * 1024;

/// The requests of the first releases.
const FIRST_REQUESTS: [&str; 12] = [
    "start",
    "signal",
    "pause",
    "unpause",
    "update",
    "attach",
    "resize",
    "exec",
    "exec_resize",
    "statistics",
    "processes",
    "release",
];

/// The requests that came later, each with the first protocol that has it.
const LATER_REQUESTS: [(&str, u32); 5] =
    [("execs", 2), ("hello", 2), ("names", 3), ("reopen_log", 5), ("relay", 6)];

/// The protocol of this release.
pub(crate) const PRESENT: u32 = 8;

/// The first protocol that has messages in several packets.
const PIECES_SINCE: u32 = 7;

/// The protocol that a shim passes for. The first one has no number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Protocol(pub(crate) u32);

/// The fate of a packet.
enum Fate {
    /// The other side gets this.
    Sent(Vec<u8>),
    /// The sender gets this as its answer.
    Answered(Vec<u8>),
    /// It is dropped.
    Dropped,
    /// The connection ends.
    Refused,
}

impl Protocol {
    /// Whether it has requests of this kind.
    pub(crate) fn has(self, kind: &str) -> bool {
        let later = LATER_REQUESTS.iter().any(|(later, since)| *later == kind && *since <= self.0);
        later || FIRST_REQUESTS.contains(&kind)
    }

    /// What becomes of a shim's packet.
    fn notice(self, packet: Vec<u8>) -> Fate {
        if is_piece(&packet) {
            assert!(self.0 >= PIECES_SINCE, "the shim sends pieces to a daemon of {self:?}");
            return Fate::Sent(packet);
        }
        let notice: Value = serde_json::from_slice(&packet).expect("JSON");
        let Some(hello) = notice.get("hello") else { return Fate::Sent(packet) };
        assert_eq!(hello["protocol"], PRESENT, "there is a later protocol than this test has");
        match self.0 {
            1 => Fate::Dropped,
            number => Fate::Sent(json!({ "hello": { "protocol": number } }).to_string().into_bytes()),
        }
    }

    /// What becomes of a daemon's request.
    fn request(self, packet: Vec<u8>, number: &Value, kind: &str) -> Fate {
        if kind == "hello" && self.0 > 1 {
            let hello = json!({ "number": 0, "request": { "hello": { "protocol": self.0 } } });
            return Fate::Sent(hello.to_string().into_bytes());
        }
        if self.has(kind) {
            return Fate::Sent(packet);
        }
        if self.0 == 1 {
            return Fate::Refused;
        }
        let failure = json!({ "kind": "unsupported", "message": "the request is not known" });
        let reply = json!({ "reply": { "number": number, "result": { "Err": failure } } });
        Fate::Answered(reply.to_string().into_bytes())
    }
}

/// Whether a packet is a part of a message.
fn is_piece(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| b"(+)".contains(first))
}

/// The translator of one container's shim, until it is dropped.
pub(crate) struct Translator {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    protocol: Protocol,
    listener: OwnedFd,
    directory: File,
    requests: Mutex<BTreeSet<String>>,
    /// The present connection: the daemon's end and the shim's.
    ends: Mutex<Option<[Arc<OwnedFd>; 2]>>,
}

impl Translator {
    /// Takes the place of the shim in its run directory.
    pub(crate) fn start(directory: &Path, protocol: Protocol) -> Self {
        std::fs::rename(directory.join("shim.sock"), directory.join("real.sock")).expect("a shim's socket");
        let directory = File::open(directory).expect("a run directory");
        let listener = socket();
        rustix::net::bind(&listener, &address(&directory, "shim.sock")).expect("its place");
        rustix::net::listen(&listener, 8).expect("a listener");
        let (requests, ends) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { protocol, listener, directory, requests, ends });
        let accepting = Arc::clone(&shared);
        let accepting = Some(std::thread::spawn(move || accepting.accept()));
        Self { shared, accepting }
    }

    /// The kinds of requests that the daemon has sent, sorted.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).iter().cloned().collect()
    }

    /// Ends the present connection.
    pub(crate) fn lose_connection(&self) {
        self.shared.disconnect();
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.shared.listener, Shutdown::Both);
        self.shared.disconnect();
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Serves one daemon after the other, as a shim does.
    fn accept(self: Arc<Self>) {
        while let Ok(daemon) = rustix::net::accept(&self.listener) {
            let shim = socket();
            if rustix::net::connect(&shim, &address(&self.directory, "real.sock")).is_err() {
                continue;
            }
            let ends = [Arc::new(daemon), Arc::new(shim)];
            self.disconnect();
            *lock(&self.ends) = Some(ends.clone());
            let [daemon, shim] = ends.clone();
            let shared = Arc::clone(&self);
            std::thread::spawn(move || {
                forward(&shim, &daemon, |packet| shared.protocol.notice(packet));
            });
            let [daemon, shim] = ends;
            let shared = Arc::clone(&self);
            std::thread::spawn(move || {
                forward(&daemon, &shim, |packet| shared.request(packet));
            });
        }
    }

    fn request(&self, packet: Vec<u8>) -> Fate {
        if is_piece(&packet) {
            assert!(
                self.protocol.0 >= PIECES_SINCE,
                "the daemon sends pieces to a shim of {:?}",
                self.protocol
            );
            return Fate::Sent(packet);
        }
        let envelope: Value = serde_json::from_slice(&packet).expect("JSON");
        let kind = match &envelope["request"] {
            Value::String(kind) => kind.clone(),
            request => request.as_object().and_then(|kinds| kinds.keys().next()).expect("a request").clone(),
        };
        lock(&self.requests).insert(kind.clone());
        self.protocol.request(packet, &envelope["number"], &kind)
    }

    fn disconnect(&self) {
        for end in lock(&self.ends).take().iter().flatten() {
            let _ = rustix::net::shutdown(end.as_fd(), Shutdown::Both);
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket() -> OwnedFd {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket")
}

/// An address is at most 107 bytes long (unix(7)), a path in a run directory longer.
fn address(directory: &File, name: &str) -> SocketAddrUnix {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())).expect("an address")
}

/// Forwards packets with their descriptors until one end is closed or a packet is refused.
fn forward(from: &OwnedFd, to: &OwnedFd, mut translate: impl FnMut(Vec<u8>) -> Fate) {
    while let Some((packet, descriptor)) = receive(from) {
        let goes_on = match translate(packet) {
            Fate::Sent(packet) => send(to, &packet, descriptor.as_ref()),
            Fate::Answered(packet) => send(from, &packet, None),
            Fate::Dropped => true,
            Fate::Refused => false,
        };
        if !goes_on {
            break;
        }
    }
    let _ = rustix::net::shutdown(from, Shutdown::Both);
    let _ = rustix::net::shutdown(to, Shutdown::Both);
}

fn receive(from: &OwnedFd) -> Option<(Vec<u8>, Option<OwnedFd>)> {
    let mut packet = vec![0; MAXIMUM_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut packet)];
    let received = rustix::net::recvmsg(from, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    packet.truncate(received.bytes);
    (!packet.is_empty()).then_some((packet, descriptor))
}

fn send(to: &OwnedFd, packet: &[u8], descriptor: Option<&OwnedFd>) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = descriptor.iter().map(|descriptor| descriptor.as_fd()).collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    rustix::net::sendmsg(to, &[IoSlice::new(packet)], &mut ancillary, SendFlags::NOSIGNAL).is_ok()
}
