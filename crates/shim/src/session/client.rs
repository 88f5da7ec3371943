//! One attached client: its sources of output and how far it has read.
//!
//! ```text
//! Log ──caught up──→ Live ──too slow (and the log keeps all)──→ Log
//!  └──── logs without stream, or the process has ended ────→ Over
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use shim_protocol::Attach;
use shim_protocol::log::{Reader, Start, Stream};
use sys::epoll::{Interest, Poller};

use super::detach::DetachKeys;
use super::queue::Queue;
use crate::log::Log;

/// How much is read from the log ahead of what a client takes, in bytes.
const LOG_AHEAD: usize = 128 * 1024;

/// How much of the log one client gets before others have their turn, in bytes.
const LOG_TURN: usize = 2 * 1024 * 1024;

/// Where a client's output comes from.
pub(super) enum Feed {
    /// From the process, as it comes.
    Live,
    /// From the log, until it is caught up.
    Log(Box<Replay>),
    /// Nothing more comes; what waits is still sent.
    Over,
}

/// A client's place in the log.
pub(super) struct Replay {
    reader: Reader,
    /// Bytes of each stream's next records that the client has already.
    skip: [usize; 2],
    /// Whether the process is followed after that.
    follow: bool,
}

/// What is to be done with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stays.
    Stays,
    /// All that it requested was sent.
    Finished,
    /// Its connection is broken.
    Gone,
}

/// An attached client.
pub(super) struct Client {
    /// The daemon's number of it.
    pub(super) number: u64,
    pub(super) socket: OwnedFd,
    token: u64,
    framed: bool,
    wanted: [bool; 2],
    /// Whether it does not receive the reason why there is no process.
    pub(super) quiet: bool,
    /// Whether what it sends is the process's input.
    pub(super) gives_input: bool,
    pub(super) keys: DetachKeys,
    /// Input that came before the descriptor.
    pub(super) early_input: Vec<u8>,
    /// Whether more may come from it.
    pub(super) input_open: bool,
    /// Its connection is closed in both directions; what it sent may still be unread.
    pub(super) hung_up: bool,
    /// When it ends after it closed its direction, if it stays quiet.
    pub(super) leaves_at: Option<Instant>,
    pub(super) queue: Queue,
    pub(super) feed: Feed,
    /// When it last took something.
    pub(super) progressed_at: Instant,
    /// When it was found to have taken nothing for too long, if it has taken nothing since.
    pub(super) doubted_at: Option<Instant>,
    registered: Option<Interest>,
}

/// The surroundings of an attached client.
pub(super) struct Place<'a> {
    pub(super) token: u64,
    pub(super) terminal: bool,
    pub(super) log: &'a Log,
    pub(super) now: Instant,
}

impl Client {
    /// Takes a client in. With `logs` it begins with the log's first record.
    pub(super) fn new(place: Place<'_>, attach: Attach, socket: OwnedFd) -> io::Result<Self> {
        let Place { token, terminal, log, now } = place;
        let follow = attach.stream && (attach.stdin || attach.stdout || attach.stderr);
        let feed = match (attach.logs, follow) {
            (true, follow) => match log.replay(Start::Beginning)? {
                Some(reader) => Feed::Log(Box::new(Replay { reader, skip: [0; 2], follow })),
                None if follow => Feed::Live,
                None => Feed::Over,
            },
            (false, true) => Feed::Live,
            (false, false) => Feed::Over,
        };
        Ok(Self {
            number: attach.client,
            socket,
            token,
            framed: attach.framed,
            wanted: [attach.stdout, attach.stderr],
            quiet: attach.quiet,
            gives_input: attach.stdin && attach.stream,
            keys: DetachKeys::new(if terminal { attach.detach_keys } else { Vec::new() }),
            early_input: attach.early_input,
            input_open: true,
            hung_up: false,
            leaves_at: None,
            queue: Queue::default(),
            feed,
            progressed_at: now,
            doubted_at: None,
            registered: None,
        })
    }

    /// Whether the process's output must wait for it when it is slow.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.feed, Feed::Live)
    }

    const fn wants(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.wanted[0],
            Stream::Stderr => self.wanted[1],
        }
    }

    /// Sends it output of the process, if it follows it and requested this stream.
    pub(super) fn deliver(&mut self, stream: Stream, output: &[u8], now: Instant) -> Outcome {
        if !self.is_live() || !self.wants(stream) || self.hung_up {
            return Outcome::Stays;
        }
        let header = header(stream, output.len());
        let header: &[u8] = if self.framed { &header } else { &[] };
        match self.queue.send(self.socket.as_fd(), header, output) {
            Ok(progress) => {
                if progress {
                    self.progress(now);
                }
                Outcome::Stays
            }
            Err(_) => Outcome::Gone,
        }
    }

    const fn progress(&mut self, now: Instant) {
        self.progressed_at = now;
        self.doubted_at = None;
    }

    /// Sends on: what waits, then more of the log if that is where it is.
    pub(super) fn advance(&mut self, log: &Log, now: Instant) -> Outcome {
        let mut turn = 0;
        loop {
            match self.queue.flush(self.socket.as_fd()) {
                Ok(true) => self.progress(now),
                Ok(false) => {}
                Err(_) => return Outcome::Gone,
            }
            if !self.queue.is_empty() || turn > LOG_TURN {
                return Outcome::Stays;
            }
            match self.feed {
                Feed::Live => return Outcome::Stays,
                Feed::Over => return Outcome::Finished,
                Feed::Log(_) => {}
            }
            if self.read_log(log).is_err() {
                return Outcome::Gone;
            }
            turn += self.queue.len();
        }
    }

    /// Queues a good part of the log; at its end also what is not a record yet, and then the client has
    /// caught up with the process: nothing can come in between.
    fn read_log(&mut self, log: &Log) -> io::Result<()> {
        let Feed::Log(replay) = &mut self.feed else {
            return Ok(());
        };
        while self.queue.len() < LOG_AHEAD {
            let Some(record) = replay.reader.next_record().map_err(io::Error::other)? else {
                let (skip, follow) = (replay.skip, replay.follow);
                self.feed = if follow { Feed::Live } else { Feed::Over };
                self.catch_up(log, skip);
                return Ok(());
            };
            let written = record.written();
            let skip = &mut replay.skip[index(record.stream)];
            let skipped = (*skip).min(written.len());
            *skip -= skipped;
            let output = &written[skipped..];
            if self.wanted[index(record.stream)] && !output.is_empty() {
                if self.framed {
                    self.queue.push(&header(record.stream, output.len()));
                }
                self.queue.push(output);
            }
        }
        Ok(())
    }

    fn catch_up(&mut self, log: &Log, skip: [usize; 2]) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = log.pending(stream).get(skip[index(stream)]..).unwrap_or_default();
            if self.wants(stream) && !rest.is_empty() {
                if self.framed {
                    self.queue.push(&header(stream, rest.len()));
                }
                self.queue.push(rest);
            }
        }
    }

    /// Lets the process go on without it: from here on it gets its output from the log. False where
    /// the log does not keep everything.
    pub(super) fn fall_back(&mut self, log: &Log) -> bool {
        let skip = [Stream::Stdout, Stream::Stderr].map(|stream| log.pending(stream).len());
        match log.replay(Start::End) {
            Ok(Some(reader)) if log.keeps_everything() => {
                self.feed = Feed::Log(Box::new(Replay { reader, skip, follow: true }));
                true
            }
            _ => false,
        }
    }

    /// The process has ended: after what waits nothing comes. The next run's log is not for this client, however
    /// slow it is.
    ///
    /// # Errors
    /// When it is fed from the log, whose end cannot be found.
    pub(super) fn end_of_output(&mut self) -> io::Result<()> {
        match &mut self.feed {
            Feed::Live => self.feed = Feed::Over,
            Feed::Log(replay) => {
                replay.follow = false;
                replay.reader.end_here().map_err(io::Error::other)?;
            }
            Feed::Over => {}
        }
        Ok(())
    }

    /// Waits for what it can make use of.
    pub(super) fn register(&mut self, poller: &Poller, input_accepted: bool) {
        let interest = Interest {
            read: self.input_open && (!self.gives_input || input_accepted),
            write: !self.queue.is_empty() || !self.is_live(),
        };
        // A hang-up cannot be left out: the poller would report it again and again.
        let wanted = (!self.hung_up).then_some(interest);
        if self.registered == wanted {
            return;
        }
        let done = match (self.registered, wanted) {
            (None, Some(interest)) => poller.add(&self.socket, self.token, interest),
            (Some(_), Some(interest)) => poller.modify(&self.socket, self.token, interest),
            (_, None) => poller.remove(&self.socket),
        };
        if done.is_ok() {
            self.registered = wanted;
        }
    }

    /// Removes it from the poller before its socket is passed on.
    pub(super) fn unregister(&mut self, poller: &Poller) {
        if self.registered.take().is_some() {
            let _ = poller.remove(&self.socket);
        }
    }
}

fn header(stream: Stream, length: usize) -> [u8; 8] {
    stream.frame_header(u32::try_from(length).unwrap_or(u32::MAX))
}

const fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}
