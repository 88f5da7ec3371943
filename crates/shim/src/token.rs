//! Names for the descriptors that the loop waits for, packed into epoll's number.

/// What an event belongs to.
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
    /// Part of a process's session.
    Session(Owner, Part),
}

/// Whose session: 0 is init, others are execs.
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
const CLIENTS: u32 = 16;

impl Token {
    pub(crate) const fn pack(self) -> u64 {
        match self {
            Self::Daemon => GLOBAL,
            Self::Listener => GLOBAL | 1,
            Self::Children => GLOBAL | 2,
            Self::OutOfMemory => GLOBAL | 3,
            Self::Log => GLOBAL | 4,
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
        for token in sessions.chain(global) {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
    }
}
