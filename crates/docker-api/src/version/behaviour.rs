//! Differences between versions other than fields and routes: one predicate each, named after what clients see,
//! with its source.

use super::ApiVersion;

/// The version in which settings of the host at a start were deprecated, for words that name it.
pub(crate) const START_SETTINGS_DEPRECATED: &str = "1.22";
/// The version that removed them.
pub(crate) const START_SETTINGS_REMOVED: &str = "1.24";
/// The version that brought parts of volumes, for words that name it.
pub(crate) const VOLUME_SUBPATHS_SINCE: &str = "1.45";
/// The version that brought mounts of images.
pub(crate) const IMAGE_MOUNTS_SINCE: &str = "1.48";

impl ApiVersion {
    /// Whether the streams of an attached container without a terminal come in frames: specification of 1.6,
    /// "What's new". Before, both outputs come as one stream.
    pub(crate) const fn streams_are_framed(self) -> bool {
        self.is_at_least(6)
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

    /// Whether a daemon whose newest version this is refuses later ones as "too new": answers of the current
    /// dockerd; those up to 1.24 have other texts.
    pub(super) const fn refusals_say_too_new(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether `one-shot` of stats requests a single sample: specification of 1.41, "What's new". Before, it is
    /// not a parameter.
    pub(crate) const fn stats_have_one_shot(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether a malformed value is 400 and a container in the wrong state 409, with exceptions by endpoint: the
    /// lists of the specification of 1.24. Before, both are 500, as the reference answers.
    pub(crate) const fn refusals_have_their_status(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a kill of a container that is not running is an error: the reference's answers to 1.20 and 1.19.
    pub(crate) const fn kill_needs_a_running_container(self) -> bool {
        self.is_at_least(20)
    }

    /// Whether events of networks and volumes are listed: "v1.22 API changes".
    pub(crate) const fn events_have_networks_and_volumes(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether past events are also found by a name that no container has any more: "v1.22 API changes" adds
    /// names to events. Before, a name stands for an existing container.
    pub(crate) const fn events_are_found_by_former_names(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether an update changes the limit of processes: "v1.40 API changes". Before, it passes that over.
    pub(crate) const fn update_has_a_process_limit(self) -> bool {
        self.is_at_least(40)
    }

    /// Whether less memory than 6 MiB is refused, not only less than 4: what dockerd 29.8 and 20.10, the first of 1.41, do.
    pub(crate) const fn least_memory_is_six_megabytes(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether an update changes the limits of single block devices: what dockerd 29.8 does. Before, it passes them over.
    pub(crate) const fn update_has_block_devices(self) -> bool {
        self.is_at_least(55)
    }

    /// Whether `HostConfig` has `Mounts`: "v1.25 API changes". Before, they are taken as they come.
    pub(crate) const fn create_has_typed_mounts(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether a mount with options of another type is refused: "v1.42 API changes".
    pub(crate) const fn mount_options_fit_their_type(self) -> bool {
        self.is_at_least(42)
    }

    /// Whether what is mounted beneath a read-only bind is read-only too: "v1.44 API changes".
    pub(crate) const fn read_only_binds_are_recursive(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether a part of a volume can be mounted: "v1.45 API changes".
    pub(crate) const fn volumes_have_subpaths(self) -> bool {
        self.is_at_least(45)
    }

    /// Whether an image can be mounted: "v1.48 API changes".
    pub(crate) const fn images_can_be_mounted(self) -> bool {
        self.is_at_least(48)
    }

    /// Whether mounts are shown by type, memory and images among them: specification of 1.25. Before, they have only
    /// a mode.
    pub(crate) const fn mounts_have_types(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether the removal of a volume has `force`: "v1.25 API changes". Before, it was no parameter.
    pub(crate) const fn volume_removal_has_force(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether a prune of volumes leaves those that have a name unless its filters include them: "v1.42 API changes".
    pub(crate) const fn prune_spares_named_volumes(self) -> bool {
        self.is_at_least(42)
    }

    /// Whether create takes `NetworkingConfig`: specification of 1.22.
    pub(crate) const fn create_takes_endpoints(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether create takes endpoints in several networks: "v1.44 API changes".
    pub(crate) const fn create_takes_several_endpoints(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether `Config.MacAddress` is the hardware address in the network of `NetworkMode`: "v1.44 API changes" call
    /// it obsolete, from 1.52 on it is not there.
    pub(crate) const fn config_has_a_mac_address(self) -> bool {
        !self.is_at_least(52)
    }

    /// Whether connect takes a hardware address: "v1.54 API changes". Before, it was passed over.
    pub(crate) const fn connect_takes_a_mac_address(self) -> bool {
        self.is_at_least(54)
    }

    /// Whether the list of networks shows their containers: "v1.28 API changes".
    pub(crate) const fn network_list_has_containers(self) -> bool {
        !self.is_at_least(28)
    }

    /// Whether the short id is among the aliases: "v1.45 API changes", which have `DNSNames` in its place.
    pub(crate) const fn aliases_have_the_short_id(self) -> bool {
        !self.is_at_least(45)
    }

    /// Whether the network mode of a container that names none is `bridge`: what dockerd 29.8 answers in all versions
    /// that it serves. Before, it is `default`.
    pub(crate) const fn default_network_has_its_name(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether a warning reports that a container in the host's network publishes nothing: what dockerd 29.8 answers in all
    /// versions that it serves.
    pub(crate) const fn discarded_ports_are_reported(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether options of create that contradict the network mode are a bad request: what dockerd 29.8 answers in all
    /// versions that it serves. Before, they are a conflict.
    pub(crate) const fn conflicting_options_are_bad_requests(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether ports at the host's IPv6 are shown that lead to containers of IPv4 alone: what Docker 20.10, the release of
    /// 1.41, was the first to answer.
    pub(crate) const fn shows_relayed_ports(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether the fields of `NetworkSettings` beside the list of networks are those of the default bridge alone: the document of
    /// 1.24, where they stand as deprecated. Before 1.21 there was no list; they are those of the network that gives the
    /// default route.
    pub(crate) const fn shows_default_bridge_alone_beside_networks(self) -> bool {
        self.is_at_least(21)
    }

    /// Whether `/_ping` reports the builder and the swarm, and that its answer is not to be kept: "v1.40 API changes"
    /// and "v1.42 API changes", not versioned there: what dockerd 29.8 answers in all versions that it serves.
    pub(crate) const fn ping_describes_the_engine(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether `/info` shows lists that are empty as such, not as `null`: example of the specification of 1.24.
    pub(crate) const fn info_has_empty_lists(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the loopback of IPv6 is listed among the networks whose registries are not verified: what dockerd 29.8
    /// answers in all versions that it serves.
    pub(crate) const fn info_names_the_loopback_of_ipv6(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether `/info` names the devices that drivers have found: "v1.50 API changes".
    pub(crate) const fn info_has_devices(self) -> bool {
        self.is_at_least(50)
    }

    /// Whether `/info` has the pools that networks get their addresses of: the changes of 1.41.
    pub(crate) const fn info_has_address_pools(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether `/info` names drivers in alphabetical order, and the one without a network `null`: what dockerd 29.8
    /// answers in all versions that it serves.
    pub(crate) const fn info_names_drivers_in_order(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether `/info` reads the kernel's settings of bridge filters: "v1.48 API changes". From then on, it has
    /// `false`.
    pub(crate) const fn info_looks_at_bridge_filters(self) -> bool {
        !self.is_at_least(48)
    }

    /// Whether `SecurityOptions` of `/info` are single words: specification of 1.24. "v1.25 API changes" made them pairs.
    pub(crate) const fn security_options_are_words(self) -> bool {
        self.is_within(24, 25)
    }

    /// Whether a start can name a checkpoint: routes of 1.25, experimental.
    pub(crate) const fn start_knows_checkpoints(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether refusals have the texts that current clients expect, such as `No such container: x` wherever one is
    /// missing: what dockerd 29.8 answers in all versions that it serves. Before, the texts depend on the endpoint.
    pub(crate) const fn refusals_have_words_of_today(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether attached clients receive as error output why the container could not be started, as the reference writes
    /// it. dockerd 29.8 reports it in the response to the start alone.
    pub(crate) const fn attach_tells_why_a_start_failed(self) -> bool {
        !self.is_at_least(24)
    }

    /// Whether lists write `1 second` for a container: what dockerd 29.8 writes in all versions that it serves. The
    /// reference writes `1 seconds`.
    pub(crate) const fn one_second_is_singular(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether start takes settings of the host: "v1.24 API changes" removed them.
    pub(crate) const fn start_takes_settings(self) -> bool {
        !self.is_at_least(24)
    }

    /// Whether stop and restart have `signal`: "v1.42 API changes". Before, it is no parameter.
    pub(crate) const fn stop_has_a_signal(self) -> bool {
        self.is_at_least(42)
    }

    /// Whether wait refuses a `condition` that there is not: "v1.30 API changes". Before, it passes that over.
    pub(crate) const fn waits_have_conditions(self) -> bool {
        self.is_at_least(30)
    }

    /// Whether the head of wait's answer comes as soon as the wait has begun: "v1.30 API changes".
    pub(crate) const fn waits_are_acknowledged(self) -> bool {
        self.is_at_least(30)
    }

    /// Whether wait reports why a start or a removal failed: "v1.34 API changes".
    pub(crate) const fn waits_have_errors(self) -> bool {
        self.is_at_least(34)
    }

    /// Whether the content type of an exec's stream shows whether it is in frames: "v1.42 API changes".
    pub(crate) const fn stream_types_tell_of_frames(self) -> bool {
        self.is_at_least(42)
    }

    /// Whether the command of an exec is a list of words alone: specification of 1.24. Before, one text is one word.
    pub(crate) const fn exec_commands_are_lists(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether an exec that has not ended has no exit code: what dockerd 29.8 answers in all versions that it serves.
    /// Before, it has 0.
    pub(crate) const fn exec_codes_come_with_the_end(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether leaving a container or an exec by keys is an event: "v1.24 API changes".
    pub(crate) const fn events_have_detaches(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the end of an exec is an event: "v1.36 API changes".
    pub(crate) const fn events_have_exec_ends(self) -> bool {
        self.is_at_least(36)
    }

    /// Whether a container that is being removed is called so: "v1.25 API changes". Before, it has exited.
    pub(crate) const fn removals_have_a_state(self) -> bool {
        self.is_at_least(25)
    }

    /// Whether inspect of an image takes a platform: "v1.49 API changes".
    pub(crate) const fn inspect_has_a_platform(self) -> bool {
        self.is_at_least(49)
    }

    /// Whether events have no `status`, `id` and `from`: "v1.52 API changes".
    pub(crate) const fn events_say_things_once(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether prunes are events: "v1.41 API changes".
    pub(crate) const fn events_have_prunes(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether the pause and the name of a commit are events too, beside the commit: what dockerd 29.8 does. With the
    /// reference the commit is the only one.
    pub(crate) const fn commits_have_more_events(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the making of an image is an event: "v1.46 API changes".
    pub(crate) const fn events_have_new_images(self) -> bool {
        self.is_at_least(46)
    }

    /// Whether save and load of images are events: specification of 1.24.
    pub(crate) const fn events_have_archives(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a client chooses the format of events by `Accept`: "v1.52 API changes".
    pub(crate) const fn events_have_a_choice_of_format(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether events are `application/jsonl`: "v1.53 API changes".
    pub(crate) const fn events_are_json_lines(self) -> bool {
        self.is_at_least(53)
    }
}
