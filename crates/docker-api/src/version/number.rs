//! The number of a version.

use std::fmt;

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl ApiVersion {
    /// The version `1.minor`.
    pub(crate) const fn minor(minor: u32) -> Self {
        Self { major: 1, minor }
    }

    /// Reads `1.24`, leniently: what is not a number is 0, one that is too large the largest. Also returns whether further parts
    /// follow that are not 0.
    pub(super) fn parts(text: &str) -> (Self, bool) {
        let number = |part: &str| {
            let is_large = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().unwrap_or(if is_large { u32::MAX } else { 0 })
        };
        let mut parts = text.split('.').map(number);
        let version = Self { major: parts.next().unwrap_or(0), minor: parts.next().unwrap_or(0) };
        (version, parts.any(|part: u32| part > 0))
    }

    /// Whether it is `1.minor` or a later one. Callers outside of `version` use a named predicate instead.
    pub(super) const fn is_at_least(self, minor: u32) -> bool {
        self.major > 1 || (self.major == 1 && self.minor >= minor)
    }

    /// Whether it is in the range of what came with `1.since` and went with `1.until`.
    pub(crate) const fn is_within(self, since: u32, until: u32) -> bool {
        self.is_at_least(since) && !self.is_at_least(until)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}
