//! What can fail at the bus.

use std::io;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// An address of another form than `unix:path=…` or `unix:abstract=…`.
    #[error("{0:?} is no address of a bus at a Unix socket, unix:path=… or unix:abstract=…")]
    Address(String),
    /// The socket.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// The bus knows its clients by their users, and not this one.
    #[error("the bus does not let this user in: {0}")]
    NotAuthenticated(String),
    /// A message that is none, or not the one that answers.
    #[error("the bus sent a malformed message")]
    Malformed,
    /// What the call's receiver refuses, or the bus where there is no receiver.
    #[error("{name}: {words}")]
    Refused {
        /// The error's name, such as `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// What it says.
        words: String,
    },
}
