//! Differences between versions in logs, attachments and stats, each with its source.

use super::ApiVersion;

impl ApiVersion {
    /// Whether a body with something behind its JSON value is refused: what dockerd 29.8 answers in all versions that it
    /// serves. The reference reads the first value.
    pub(crate) const fn bodies_hold_one_value(self) -> bool {
        self.is_at_least(21)
    }

    /// Whether the bounds of a log are seconds alone: what dockerd 29.8 answers in all versions that it serves. Before,
    /// RFC 3339 is understood too.
    pub(crate) const fn log_bounds_are_seconds(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether logs have an `until`: "v1.35 API changes". Before, it is not a parameter.
    pub(crate) const fn logs_have_an_end(self) -> bool {
        self.is_at_least(35)
    }

    /// Whether a log can be shown with what its driver selects of the container: "v1.23 API changes". Before, it is no
    /// parameter.
    pub(crate) const fn logs_have_details(self) -> bool {
        self.is_at_least(23)
    }

    /// Whether a log can be a stream of objects: "v1.54 API changes". Before, `format` is no parameter.
    pub(crate) const fn logs_can_be_objects(self) -> bool {
        self.is_at_least(54)
    }

    /// Whether messages of a websocket are binary: "v1.28 API changes". Before, they are text where they can be.
    pub(crate) const fn websockets_are_binary(self) -> bool {
        self.is_at_least(28)
    }

    /// Whether a client names the keys with which it leaves a container: "v1.22 API changes".
    pub(crate) const fn attach_names_its_keys(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether an attach to a paused container is refused: what dockerd 29.8 answers in all versions that it
    /// serves.
    pub(crate) const fn attach_refuses_what_is_paused(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether counters that are not there are left out of stats: what dockerd 29.8 answers in all versions that it
    /// serves. Before, they are 0.
    pub(crate) const fn stats_leave_out_what_is_not_counted(self) -> bool {
        self.is_at_least(24)
    }

    /// In which of the [`engine::STATISTICS_FORMS`] stats are: they changed with 1.21 ("v1.21 API changes"), with 1.24 (as
    /// above) and with 1.52 ("v1.52 API changes").
    pub(crate) fn stats_form(self) -> usize {
        [21, 24, 52].into_iter().filter(|minor| self.is_at_least(*minor)).count()
    }
}
