//! The kinds of failure that callers tell apart; the daemon maps each to one status.

/// What kind of failure an error is, as far as a client can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The named thing does not exist (404).
    NotFound,
    /// The request contradicts the present state or a name that is taken (409).
    Conflict,
    /// The request itself is malformed where the specification documents 400.
    BadParameter,
    /// The request is refused where the specification documents no 400 (500).
    Refused,
    /// Nothing had to be done (304).
    NotModified,
    /// Credentials are missing or wrong (401).
    Unauthorized,
    /// The target is read-only or otherwise forbidden (403).
    Forbidden,
    /// The thing asked for is not acceptable in this state (406).
    NotAcceptable,
    /// This engine or host cannot do it (501).
    NotImplemented,
    /// The engine, the kernel or a peer failed (500).
    Internal,
}
