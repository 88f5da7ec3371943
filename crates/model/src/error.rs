//! The kinds of failure that callers distinguish. What answer stands for a kind is each front end's business.

/// The kind of a failure, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// The request contradicts the present state, or what it needs is in use.
    Conflict,
    /// A value of the request is malformed, out of range, or contradicts another one.
    Invalid,
    /// The target is read-only, or the caller may not do it.
    Forbidden,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// A peer does not answer now; the same request may succeed later.
    Unavailable,
    /// This engine has too much to do now; the same request may succeed later.
    Busy,
    /// This engine or host cannot do it.
    Unsupported,
    /// The engine, the kernel or a peer failed.
    Internal,
}
