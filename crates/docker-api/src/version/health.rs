//! Differences between versions in containers' health, each with its source.

use super::ApiVersion;

impl ApiVersion {
    /// Whether containers have a health check and show their health: specification of 1.24.
    pub(crate) const fn containers_have_health(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a health check has a start period: "v1.29 API changes". Before, it is passed over.
    pub(crate) const fn health_checks_have_a_start_period(self) -> bool {
        self.is_at_least(29)
    }

    /// Whether a health check has an interval for its start period: "v1.44 API changes". Before, it is passed over.
    pub(crate) const fn health_checks_have_a_start_interval(self) -> bool {
        self.is_at_least(44)
    }
}
