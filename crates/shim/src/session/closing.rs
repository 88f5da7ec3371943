//! Ends clients' connections so that what was sent arrives: a TCP socket that is closed with unread
//! input resets the connection, so such a socket is read until its peer closes, for a while.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use sys::epoll::{Interest, Poller};
use sys::stream;

use crate::event_loop::EventLoop;

/// How long a peer may take to close its end.
const LINGER: Duration = Duration::from_secs(1);

/// How many reads one peer gets before others have their turn.
const TURN: usize = 64;

/// Connections of which only the end is awaited.
#[derive(Default)]
pub(super) struct Closing {
    sockets: BTreeMap<u32, (OwnedFd, Instant)>,
}

impl Closing {
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Shuts down the sending direction; keeps a network connection until it closes too.
    pub(super) fn take(&mut self, id: u32, socket: OwnedFd, token: u64, shared: &mut EventLoop) {
        let alive = stream::end_sending(&socket).is_ok();
        let closed = discard(&socket, &mut shared.scratch);
        if !alive || closed || stream::is_local(&socket).unwrap_or(true) {
            return;
        }
        if shared.poller.add(&socket, token, Interest::READ).is_ok() {
            self.sockets.insert(id, (socket, shared.now + LINGER));
            shared.wake_in(LINGER);
        }
    }

    /// Something came on one of these; false for any other.
    pub(super) fn on_event(&mut self, id: u32, shared: &mut EventLoop) -> bool {
        let Some((socket, _)) = self.sockets.get(&id) else {
            return false;
        };
        if discard(socket, &mut shared.scratch) {
            self.remove(id, &shared.poller);
        }
        true
    }

    pub(super) fn tick(&mut self, shared: &mut EventLoop) {
        let over: Vec<u32> =
            self.sockets.iter().filter(|(_, (_, until))| *until <= shared.now).map(|(id, _)| *id).collect();
        for id in over {
            self.remove(id, &shared.poller);
        }
        if let Some(next) = self.sockets.values().map(|(_, until)| *until).min() {
            shared.alarm.set(next);
        }
    }

    fn remove(&mut self, id: u32, poller: &Poller) {
        if let Some((socket, _)) = self.sockets.remove(&id) {
            let _ = poller.remove(&socket);
        }
    }
}

/// Reads what is there, within reason; true when the peer has closed its end or the connection is broken.
fn discard(socket: &OwnedFd, buffer: &mut [u8]) -> bool {
    for _ in 0..TURN {
        match stream::receive(socket, buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
    false
}
