//! One record of a log, and the limits of its size.

use model::Timestamp;

use super::time;

/// The most bytes of output that one record carries.
pub const MAXIMUM_PAYLOAD: usize = 16 * 1024;

/// The bytes of the longest character in UTF-8.
const LONGEST_CHARACTER: usize = 4;

/// The longest line of a log that readers take, in bytes; longer ones are skipped.
pub const MAXIMUM_LINE: usize = 16 * 1024 * 1024;

/// Which of a process's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1, or the terminal.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    /// The name in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The first byte of a frame, "stream details" of the API's attach.
    #[must_use]
    pub const fn frame_type(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    /// The 8-byte header of a frame: type, three zeros, length in network order.
    #[must_use]
    pub const fn frame_header(self, length: u32) -> [u8; 8] {
        let [a, b, c, d] = length.to_be_bytes();
        [self.frame_type(), 0, 0, 0, a, b, c, d]
    }
}

/// One record of a log, as it lies in the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Which output.
    pub stream: Stream,
    /// The bytes, with the newline of the line's end.
    pub payload: &'a [u8],
    /// The time as it is written in the file; empty when the record has none.
    pub time_text: &'a [u8],
    /// The payload's last newline is that of a shim of an earlier release: the process left the line
    /// unfinished.
    pub newline_added: bool,
}

impl Record<'_> {
    /// When it was written; `None` when the text is no time.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let instant = time::parse(self.time_text)?;
        Timestamp::from_unix(instant.seconds, instant.nanoseconds).ok()
    }

    /// Appends the time with exactly nine digits of fraction, as `timestamps=1` of the API shows it.
    pub fn push_time(&self, out: &mut Vec<u8>) {
        if self.time_text.len() == time::TEXT_LENGTH && self.time_text.ends_with(b"Z") {
            out.extend_from_slice(self.time_text);
        } else if let Some(instant) = time::parse(self.time_text) {
            out.extend_from_slice(&time::text(instant));
        } else {
            out.extend_from_slice(self.time_text);
        }
    }

    /// The bytes as the process wrote them, without a newline that was added.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        let added = usize::from(self.newline_added);
        &self.payload[..self.payload.len() - added]
    }

    /// Whether the next record of its stream continues this line: a part of a long line is as long as a
    /// record can be, except for a character that would be cut.
    #[must_use]
    pub fn is_continued(&self) -> bool {
        !self.payload.ends_with(b"\n") && self.payload.len() > MAXIMUM_PAYLOAD - LONGEST_CHARACTER
    }
}
