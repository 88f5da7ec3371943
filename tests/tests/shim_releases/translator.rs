//! A socket between a daemon and a shim that translates both to an earlier protocol. What that protocol has no
//! words for ends the connection, as it did then.

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
use serde_json::Value;

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

/// What a shim passes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Its protocol has no number.
    Protocol1,
    /// Its protocol has a number, and lists the execs that run.
    Protocol2,
    /// It answers names.
    Protocol3,
}

impl Release {
    /// The requests that its protocol has besides those of the first.
    pub(crate) const fn requests_since_the_first(self) -> &'static [&'static str] {
        match self {
            Self::Protocol1 => &[],
            Self::Protocol2 => &["execs", "hello"],
            Self::Protocol3 => &["execs", "hello", "names"],
        }
    }

    /// The number that each side sends the other; the first protocol has none.
    const fn number(self) -> Option<u32> {
        match self {
            Self::Protocol1 => None,
            Self::Protocol2 => Some(2),
            Self::Protocol3 => Some(3),
        }
    }

    /// What the shim sends, as this release would; `None` is not sent.
    fn notice(self, packet: Vec<u8>) -> Option<Vec<u8>> {
        let is_hello = serde_json::from_slice::<Value>(&packet).expect("JSON").get("hello").is_some();
        if !is_hello {
            return Some(packet);
        }
        self.number().map(|number| format!(r#"{{"hello":{{"protocol":{number}}}}}"#).into_bytes())
    }

    /// What the daemon sends, for the shim; `None` ends the connection.
    fn request(self, packet: Vec<u8>, kind: &str) -> Option<Vec<u8>> {
        if kind == "hello"
            && let Some(number) = self.number()
        {
            let hello = format!(r#"{{"number":0,"request":{{"hello":{{"protocol":{number}}}}}}}"#);
            return Some(hello.into_bytes());
        }
        let is_known = FIRST_REQUESTS.contains(&kind) || self.requests_since_the_first().contains(&kind);
        is_known.then_some(packet)
    }
}

/// The translator of one container's shim, until it is dropped.
pub(crate) struct Translator {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    release: Release,
    listener: OwnedFd,
    directory: File,
    requests: Mutex<BTreeSet<String>>,
    /// The present connection: the daemon's end and the shim's.
    ends: Mutex<Option<[Arc<OwnedFd>; 2]>>,
}

impl Translator {
    /// Takes the place of the shim in its run directory.
    pub(crate) fn start(directory: &Path, release: Release) -> Self {
        std::fs::rename(directory.join("shim.sock"), directory.join("real.sock")).expect("a shim's socket");
        let directory = File::open(directory).expect("a run directory");
        let listener = socket();
        rustix::net::bind(&listener, &address(&directory, "shim.sock")).expect("its place");
        rustix::net::listen(&listener, 8).expect("a listener");
        let (requests, ends) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { release, listener, directory, requests, ends });
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
                forward(&shim, &daemon, |packet| Some(shared.release.notice(packet)));
            });
            let [daemon, shim] = ends;
            let shared = Arc::clone(&self);
            std::thread::spawn(move || {
                forward(&daemon, &shim, |packet| shared.request(packet).map(Some));
            });
        }
    }

    fn request(&self, packet: Vec<u8>) -> Option<Vec<u8>> {
        let envelope: Value = serde_json::from_slice(&packet).expect("JSON");
        let kind = match &envelope["request"] {
            Value::String(kind) => kind.clone(),
            request => request.as_object().and_then(|kinds| kinds.keys().next()).expect("a request").clone(),
        };
        lock(&self.requests).insert(kind.clone());
        self.release.request(packet, &kind)
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

/// Forwards packets with their descriptors until one end is closed or `translate` gives `None`.
fn forward(from: &OwnedFd, to: &OwnedFd, mut translate: impl FnMut(Vec<u8>) -> Option<Option<Vec<u8>>>) {
    while let Some((packet, descriptor)) = receive(from) {
        match translate(packet) {
            Some(Some(packet)) if send(to, &packet, descriptor.as_ref()) => {}
            Some(None) => {}
            Some(Some(_)) | None => break,
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
