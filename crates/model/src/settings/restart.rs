//! When the engine starts a container again by itself.

use serde::{Deserialize, Serialize};

use super::SettingError;

/// When the engine starts a container again by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, and when the daemon starts.
    Always,
    /// Whenever it ends; when the daemon starts unless a client had stopped it.
    UnlessStopped,
    /// When it ends with another code than 0.
    OnFailure {
        /// How often one after the other; 0 is without end.
        maximum: u32,
    },
}

impl RestartPolicy {
    /// Parses a policy's name and its count, which `on-failure` alone reads.
    ///
    /// # Errors
    /// An unknown name, or a count below 0.
    pub fn parse(name: &str, maximum: i64) -> Result<Self, SettingError> {
        let policy = match name {
            "" | "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => Self::OnFailure { maximum: u32::try_from(maximum.max(0)).unwrap_or(u32::MAX) },
            other => return Err(SettingError::RestartPolicy(other.to_owned())),
        };
        if maximum < 0 {
            return Err(SettingError::RetryCount(maximum));
        }
        Ok(policy)
    }

    /// Its usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure { .. } => "on-failure",
        }
    }

    /// Its count, 0 for a policy without one.
    #[must_use]
    pub const fn maximum(self) -> u32 {
        match self {
            Self::OnFailure { maximum } => maximum,
            Self::No | Self::Always | Self::UnlessStopped => 0,
        }
    }
}

/// A policy, and how the client wrote it where that is not the usual way: with an empty name, or with a
/// count that the policy does not read. The writing is for display alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenRestartPolicy {
    policy: RestartPolicy,
    written: Option<(String, i64)>,
}

/// By default no policy, with an empty name.
impl Default for WrittenRestartPolicy {
    fn default() -> Self {
        Self { policy: RestartPolicy::No, written: Some((String::new(), 0)) }
    }
}

impl WrittenRestartPolicy {
    /// Parses a policy and keeps its spelling.
    ///
    /// # Errors
    /// As [`RestartPolicy::parse`].
    pub fn parse(name: &str, maximum: i64) -> Result<Self, SettingError> {
        let policy = RestartPolicy::parse(name, maximum)?;
        let is_usual = (policy.name(), i64::from(policy.maximum())) == (name, maximum);
        Ok(Self { policy, written: (!is_usual).then(|| (name.to_owned(), maximum)) })
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> RestartPolicy {
        self.policy
    }

    /// The name and the count to show.
    #[must_use]
    pub fn written(&self) -> (&str, i64) {
        match &self.written {
            Some((name, maximum)) => (name, *maximum),
            None => (self.policy.name(), i64::from(self.policy.maximum())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_shown_as_it_was_written() {
        for (name, maximum, policy) in [
            ("", 0, RestartPolicy::No),
            ("no", 0, RestartPolicy::No),
            ("", 5, RestartPolicy::No),
            ("always", 3, RestartPolicy::Always),
            ("unless-stopped", 0, RestartPolicy::UnlessStopped),
            ("on-failure", 3, RestartPolicy::OnFailure { maximum: 3 }),
            ("on-failure", 1 << 40, RestartPolicy::OnFailure { maximum: u32::MAX }),
        ] {
            let written = WrittenRestartPolicy::parse(name, maximum).expect(name);
            assert_eq!((written.policy(), written.written()), (policy, (name, maximum)));
        }
    }

    #[test]
    fn unknown_names_and_negative_counts_are_refused() {
        let text = |name, maximum| RestartPolicy::parse(name, maximum).expect_err(name).to_string();
        assert_eq!(text("sometimes", -1), "invalid restart policy sometimes");
        assert_eq!(text("on-failure", -1), "maximum retry count cannot be negative");
    }
}
