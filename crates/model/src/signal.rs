//! Signals by number and by name, with and without `SIG`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid signal: {0}")]
pub struct SignalError(pub String);

/// A signal's number on Linux x86-64, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(u8);

/// Names and numbers: signal(7), x86 column.
const NAMES: [(&str, u8); 35] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("IOT", 6),
    ("CLD", 17),
    ("POLL", 29),
    ("UNUSED", 31),
];

impl Signal {
    /// Ends a process; it cannot be handled.
    pub const KILL: Self = Self(9);
    /// SIGINT: requests a process's end, as a terminal's Control-C does.
    pub const INT: Self = Self(2);
    /// SIGQUIT: requests a process's end, leaving a core where that is allowed.
    pub const QUIT: Self = Self(3);
    /// Requests a process's end.
    pub const TERM: Self = Self(15);
    /// Reports to a process that its terminal changed size.
    pub const WINCH: Self = Self(28);

    /// Takes a number from 1 to 64.
    ///
    /// # Errors
    /// [`SignalError`] when the number is outside.
    pub fn from_number(number: i64) -> Result<Self, SignalError> {
        match u8::try_from(number) {
            Ok(small @ 1..=64) => Ok(Self(small)),
            _ => Err(SignalError(number.to_string())),
        }
    }

    /// Parses a number, or a name in any case with or without `SIG`, `RTMIN+n` and `RTMAX-n` among them.
    ///
    /// # Errors
    /// [`SignalError`] when the text names no signal.
    pub fn parse(text: &str) -> Result<Self, SignalError> {
        if let Ok(number) = text.parse() {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let offset = |rest: &str, sign: char| match rest {
            "" => Some(0),
            rest => rest.strip_prefix(sign)?.parse::<u8>().ok().filter(|offset| *offset <= 30),
        };
        let real_time = if let Some(rest) = name.strip_prefix("RTMIN") {
            offset(rest, '+').map(|offset| 34 + offset)
        } else if let Some(rest) = name.strip_prefix("RTMAX") {
            offset(rest, '-').map(|offset| 64 - offset)
        } else {
            None
        };
        real_time
            .or_else(|| NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number))
            .map(Self)
            .ok_or_else(|| SignalError(text.to_owned()))
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for Signal {
    type Err = SignalError;
    fn from_str(text: &str) -> Result<Self, SignalError> {
        Self::parse(text)
    }
}

/// Writes the usual name, `SIGTERM`, `SIGRTMIN+3`; the number of a signal without one.
impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(formatter, "SIG{name}"),
            None if self.0 == 34 => formatter.write_str("SIGRTMIN"),
            None if self.0 > 34 => write!(formatter, "SIGRTMIN+{}", self.0 - 34),
            None => write!(formatter, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_as_it_is_written() {
        for number in 1..=64 {
            let signal = Signal::from_number(number).expect("a signal");
            assert_eq!(signal.to_string().parse(), Ok(signal), "{signal}");
        }
        assert_eq!([Signal::TERM.to_string(), Signal(37).to_string()], ["SIGTERM", "SIGRTMIN+3"]);
    }

    #[test]
    fn names_and_numbers() {
        for (text, number) in [("9", 9), ("KILL", 9), ("sigterm", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)] {
            assert_eq!(Signal::parse(text).map(Signal::number), Ok(number), "{text}");
        }
        for bad in ["", "0", "65", "-1", "NOPE", "SIG", "RTMIN-1", "RTMIN+31"] {
            assert!(Signal::parse(bad).is_err(), "{bad}");
        }
    }
}
