//! The signal that requests a container's end.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::Signal;

/// The signal that requests a container's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopSignal {
    /// This one.
    Signal(Signal),
    /// A text of an image that names no signal: it is shown, and SIGTERM is sent.
    Unknown(String),
}

impl StopSignal {
    /// The signal that is sent.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Signal(signal) => *signal,
            Self::Unknown(_) => Signal::TERM,
        }
    }
}

impl FromStr for StopSignal {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Signal::parse(text).map_or_else(|_| Self::Unknown(text.to_owned()), Self::Signal))
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(formatter),
            Self::Unknown(text) => formatter.write_str(text),
        }
    }
}
