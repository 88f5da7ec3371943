//! Names for the descriptors that the loop waits for, packed into epoll's number.

/// The owner of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The connection to the daemon.
    Daemon,
    /// The socket at which later daemons arrive.
    Listener,
    /// SIGCHLD.
    Children,
    /// A kill for memory.
    OutOfMemory,
    /// The socket of the remote log.
    Log,
    /// Part of the probe of the container's health.
    Probe(ProbePart),
    /// Part of the name service.
    Names(NamesPart),
    /// Part of the relay of published ports.
    Relay(RelayPart),
    /// Part of a process's session.
    Session(Owner, Part),
}

/// One descriptor of the relay, by the relay's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayPart {
    /// A socket at which clients arrive.
    Listener(u32),
    /// A connection's client.
    Client(u32),
    /// A connection's container.
    Container(u32),
    /// The container's end for a client of UDP.
    Flow(u32),
}

impl RelayPart {
    /// The highest number.
    pub(crate) const MOST: u32 = (1 << 30) - 1;

    const fn pack(self) -> u32 {
        match self {
            Self::Listener(id) => id,
            Self::Client(id) => (1 << 30) | id,
            Self::Container(id) => (2 << 30) | id,
            Self::Flow(id) => (3 << 30) | id,
        }
    }

    const fn unpack(packed: u32) -> Self {
        let id = packed & Self::MOST;
        match packed >> 30 {
            0 => Self::Listener(id),
            1 => Self::Client(id),
            2 => Self::Container(id),
            _ => Self::Flow(id),
        }
    }
}

/// One descriptor of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbePart {
    /// Where its end is reported.
    End,
    /// Its output.
    Output,
}

/// One descriptor of the name service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamesPart {
    /// The socket of UDP.
    Datagrams,
    /// The socket at which connections of TCP arrive.
    Listener,
    /// A client's connection, by the service's own number.
    Connection(u32),
    /// A socket to an upstream server, by the number of the exchange.
    Exchange(u32),
}

impl NamesPart {
    /// The highest number of a connection or an exchange.
    pub(crate) const MOST: u32 = (1 << 30) - 1;

    const fn pack(self) -> u32 {
        match self {
            Self::Datagrams => 0,
            Self::Listener => 1,
            Self::Connection(id) => (1 << 30) | id,
            Self::Exchange(id) => (1 << 31) | id,
        }
    }

    const fn unpack(packed: u32) -> Option<Self> {
        match packed >> 30 {
            0 => match packed {
                0 => Some(Self::Datagrams),
                1 => Some(Self::Listener),
                _ => None,
            },
            1 => Some(Self::Connection(packed & Self::MOST)),
            2 => Some(Self::Exchange(packed & Self::MOST)),
            _ => None,
        }
    }
}

/// The owner of a session: 0 is init, others are execs.
pub(crate) type Owner = u32;

/// One descriptor of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The process's pidfd.
    Process,
    /// Where its input is written.
    Input,
    /// Its output, or its terminal's.
    Output,
    /// Its error output.
    Errors,
    /// A client, by the session's own number.
    Client(u32),
}

const GLOBAL: u64 = (u32::MAX as u64) << 32;
/// The name service, as an owner.
const NAMES: u32 = u32::MAX - 1;
/// The relay, as an owner.
const RELAY: u32 = u32::MAX - 2;
const CLIENTS: u32 = 16;

impl Token {
    pub(crate) const fn pack(self) -> u64 {
        match self {
            Self::Daemon => GLOBAL,
            Self::Listener => GLOBAL | 1,
            Self::Children => GLOBAL | 2,
            Self::OutOfMemory => GLOBAL | 3,
            Self::Log => GLOBAL | 4,
            Self::Probe(ProbePart::End) => GLOBAL | 5,
            Self::Probe(ProbePart::Output) => GLOBAL | 6,
            Self::Names(part) => ((NAMES as u64) << 32) | part.pack() as u64,
            Self::Relay(part) => ((RELAY as u64) << 32) | part.pack() as u64,
            Self::Session(owner, part) => {
                let part = match part {
                    Part::Process => 0,
                    Part::Input => 1,
                    Part::Output => 2,
                    Part::Errors => 3,
                    Part::Client(client) => CLIENTS + client,
                };
                ((owner as u64) << 32) | part as u64
            }
        }
    }

    pub(crate) fn unpack(packed: u64) -> Option<Self> {
        let owner = u32::try_from(packed >> 32).ok()?;
        let low = u32::try_from(packed & u64::from(u32::MAX)).ok()?;
        let part = match (owner, low) {
            (u32::MAX, 0) => return Some(Self::Daemon),
            (u32::MAX, 1) => return Some(Self::Listener),
            (u32::MAX, 2) => return Some(Self::Children),
            (u32::MAX, 3) => return Some(Self::OutOfMemory),
            (u32::MAX, 4) => return Some(Self::Log),
            (u32::MAX, 5) => return Some(Self::Probe(ProbePart::End)),
            (u32::MAX, 6) => return Some(Self::Probe(ProbePart::Output)),
            (NAMES, low) => return NamesPart::unpack(low).map(Self::Names),
            (RELAY, low) => return Some(Self::Relay(RelayPart::unpack(low))),
            (_, 0) => Part::Process,
            (_, 1) => Part::Input,
            (_, 2) => Part::Output,
            (_, 3) => Part::Errors,
            (_, client @ CLIENTS..) => Part::Client(client - CLIENTS),
            _ => return None,
        };
        Some(Self::Session(owner, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let parts =
            [Part::Process, Part::Input, Part::Output, Part::Errors, Part::Client(0), Part::Client(70_000)];
        let sessions =
            [0, 1, 90_000].into_iter().flat_map(|owner| parts.map(|part| Token::Session(owner, part)));
        let global = [Token::Daemon, Token::Listener, Token::Children, Token::OutOfMemory, Token::Log];
        let probe = [Token::Probe(ProbePart::End), Token::Probe(ProbePart::Output)];
        let names = [
            NamesPart::Datagrams,
            NamesPart::Listener,
            NamesPart::Connection(0),
            NamesPart::Connection(NamesPart::MOST),
            NamesPart::Exchange(0),
            NamesPart::Exchange(NamesPart::MOST),
        ];
        let parts = [RelayPart::Listener, RelayPart::Client, RelayPart::Container, RelayPart::Flow];
        let relay = parts.into_iter().flat_map(|part| [part(0), part(RelayPart::MOST)]).map(Token::Relay);
        let names = names.map(Token::Names);
        for token in sessions.chain(global).chain(probe).chain(names).chain(relay) {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
    }
}
