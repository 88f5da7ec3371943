//! The result of a driver with a server and a container's options: the address of lines, their format, the retries.

use std::time::Duration;

use sys::stream::Peer;

use crate::line::Line;

/// How a line becomes packets: what a driver with a server has of its own.
pub trait Format {
    /// Nothing for a line that the server has no use for; no packet for one that it cannot take.
    fn packets(&mut self, line: &Line<'_>) -> Option<Vec<Vec<u8>>>;

    /// The expected text in the server's acknowledgment of the last line; `None` without acknowledgments.
    /// Called once a line.
    fn acknowledgment(&mut self) -> Option<String> {
        None
    }
}

/// Where lines are sent, and in which form.
pub struct Destination {
    /// The format of lines.
    pub format: Box<dyn Format>,
    /// The server.
    pub peer: Peer,
    /// How hard it is tried.
    pub delivery: Delivery,
}

/// Which servers must be there when the container starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtStart {
    /// One on this host must, one on a network may come later.
    LocalMustBeThere,
    /// It must.
    MustBeThere,
    /// It may come later.
    MayBeAway,
}

/// How hard it is tried to deliver lines.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The buffer for a server that is slow or away, in bytes; lines beyond it are dropped and counted.
    pub bytes: usize,
    /// How many lines may wait.
    pub lines: usize,
    /// The shortest and the longest time between two attempts to connect.
    pub retry: (Duration, Duration),
    /// After so many failed attempts in a row what waits is dropped.
    pub attempts: u32,
    /// Whether the server must be there at the start.
    pub at_start: AtStart,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            lines: usize::MAX,
            retry: (Duration::from_millis(500), Duration::from_secs(30)),
            attempts: u32::MAX,
            at_start: AtStart::LocalMustBeThere,
        }
    }
}
