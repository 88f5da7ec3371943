//! What differs between versions and is no field and no route: one predicate each, named after what clients see,
//! with its source.

use super::ApiVersion;

impl ApiVersion {
    /// Whether the streams of an attached container without a terminal come in frames: specification of 1.6,
    /// "What's new". Before, both outputs come as one stream.
    pub(crate) const fn streams_are_framed(self) -> bool {
        self.is_at_least(6)
    }

    /// Whether a build removes its intermediate containers when the query does not say: `rm` defaults to true
    /// since 1.12.
    pub(crate) const fn builds_remove_containers(self) -> bool {
        self.is_at_least(12)
    }

    /// Whether CPU shares out of the kernel's range are refused: specification of 1.19, "What's new". Before, they
    /// are brought into range.
    pub(crate) const fn cpu_shares_are_checked(self) -> bool {
        self.is_at_least(19)
    }

    /// Whether errors are a JSON object with a `message` and not plain text: specification of 1.24, "What's new".
    pub(crate) const fn errors_are_json(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a daemon whose newest version this is refuses later ones as "too new": answers of today's daemon;
    /// those up to 1.24 have other words.
    pub(super) const fn refusals_say_too_new(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether `one-shot` of stats asks for a single sample: specification of 1.41, "What's new". Before, it is
    /// no parameter.
    pub(crate) const fn stats_have_one_shot(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether a malformed value is 400 and a container in the wrong state 409 wherever no endpoint says otherwise:
    /// the lists of the specification of 1.24. Before, both are 500, as the reference answers.
    pub(crate) const fn refusals_have_their_status(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a kill of a container that is not running is an error: the reference's answers to 1.20 and 1.19.
    pub(crate) const fn kill_needs_a_running_container(self) -> bool {
        self.is_at_least(20)
    }

    /// Whether events of networks are listed: "v1.22 API changes".
    pub(crate) const fn events_have_networks(self) -> bool {
        self.is_at_least(22)
    }
}
