//! A line for a log server, and what drivers of log servers share.

use std::io;
use std::net::SocketAddr;

use model::Timestamp;
use shim_protocol::log::Stream;

/// One line on its way, or a piece of a long one.
pub(super) struct Line<'a> {
    pub(super) stream: Stream,
    /// Without its newline.
    pub(super) text: &'a [u8],
    /// Whether the line is over with it.
    pub(super) ends: bool,
    pub(super) at: Timestamp,
}

impl Line<'_> {
    /// The text as log servers want it: a terminal ends its lines with a return as well.
    pub(super) fn without_return(&self) -> &[u8] {
        self.text.strip_suffix(b"\r").filter(|_| self.ends).unwrap_or(self.text)
    }

    /// syslog(3): errors for the error output, information for the other.
    pub(super) const fn severity(&self) -> u8 {
        match self.stream {
            Stream::Stdout => 6,
            Stream::Stderr => 3,
        }
    }
}

/// Parses the address of a server. Names were resolved by the engine: the shim has no resolver.
pub(super) fn server_address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| io::Error::other(format!("the log server's address {text} is not resolved")))
}

/// The host's name.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
