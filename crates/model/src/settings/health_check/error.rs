//! What is wrong with a health check that a client asks for.

/// An invalid health check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum HealthCheckError {
    #[error("{0} in Healthcheck cannot be less than 1ms")]
    TooShort(&'static str),
    #[error("Retries in Healthcheck cannot be negative")]
    Retries,
    #[error("invalid Test in Healthcheck: it must begin with NONE, CMD or CMD-SHELL, not with {0:?}")]
    Kind(String),
    #[error("invalid Test in Healthcheck: {0} needs a command behind it")]
    NoCommand(&'static str),
}
