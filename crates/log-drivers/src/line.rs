//! A line for a log server, and what drivers of log servers share.

use model::Timestamp;
use shim_protocol::log::Stream;

/// One line on its way, or a part of a long one.
pub struct Line<'a> {
    /// Whence it came.
    pub stream: Stream,
    /// Without its newline.
    pub text: &'a [u8],
    /// Whether this is the last part of the line.
    pub ends: bool,
    /// When it came.
    pub at: Timestamp,
}

impl Line<'_> {
    /// The text as log servers expect it: a terminal ends its lines with a carriage return as well.
    pub(crate) fn without_return(&self) -> &[u8] {
        self.text.strip_suffix(b"\r").filter(|_| self.ends).unwrap_or(self.text)
    }

    /// syslog(3): errors for the error output, information for the other.
    pub(crate) const fn severity(&self) -> u8 {
        match self.stream {
            Stream::Stdout => 6,
            Stream::Stderr => 3,
        }
    }
}

/// The host's name.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
