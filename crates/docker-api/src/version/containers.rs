//! Differences between versions in making, listing and inspecting containers, each with its source.

use super::ApiVersion;

impl ApiVersion {
    /// Whether `HostConfig` of inspect has all fields of its version, also unset ones: examples of the specification of
    /// 1.24, and its lists of what 1.21 to 1.23 brought.
    pub(crate) const fn host_config_is_whole(self) -> bool {
        self.is_at_least(21)
    }

    /// Whether inspect of a container has `size`: "v1.21 API changes". Before, it is no parameter.
    pub(crate) const fn inspect_has_sizes(self) -> bool {
        self.is_at_least(21)
    }

    /// Whether `HostConfig` has `LxcConf`: "v1.22 API changes" removed it.
    pub(crate) const fn host_config_has_lxc(self) -> bool {
        !self.is_at_least(22)
    }

    /// Whether inspect shows effective defaults for unset fields, and empty maps as such: what dockerd 29.8 answers in
    /// all versions that it serves.
    pub(crate) const fn host_config_shows_what_holds(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether `HostConfig` has `MaskedPaths` and `ReadonlyPaths`: documents of 1.38.
    pub(crate) const fn host_config_has_hidden_paths(self) -> bool {
        self.is_at_least(38)
    }

    /// Whether `HostConfig` has `CgroupnsMode`: "v1.41 API changes".
    pub(crate) const fn host_config_has_a_cgroup_namespace(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether an empty `Config.OnBuild` is left out: "v1.52 API changes".
    pub(crate) const fn empty_triggers_are_left_out(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether containers show the devices that drivers choose: "v1.40 API changes".
    pub(crate) const fn containers_have_device_requests(self) -> bool {
        self.is_at_least(40)
    }

    /// Whether containers have annotations: "v1.43 API changes". Before, they are passed over.
    pub(crate) const fn containers_have_annotations(self) -> bool {
        self.is_at_least(43)
    }

    /// Whether the list of containers shows annotations: "v1.46 API changes".
    pub(crate) const fn container_list_has_annotations(self) -> bool {
        self.is_at_least(46)
    }

    /// Whether the list of containers shows the manifests of their images: "v1.48 API changes".
    pub(crate) const fn container_list_has_manifests(self) -> bool {
        self.is_at_least(48)
    }

    /// Whether the list calls the image of a container by its id when its name is that of another one by now: what
    /// dockerd 29.8 answers in all versions that it serves.
    pub(crate) const fn container_list_follows_image_names(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the default IPC namespace of a container is private: "v1.40 API changes". Before, others may join it.
    pub(crate) const fn ipc_is_private_by_default(self) -> bool {
        self.is_at_least(40)
    }

    /// Whether create refuses an unknown log driver, or option: what dockerd 29.8 does in all versions that it serves.
    /// Before, the start does.
    pub(crate) const fn create_checks_the_log(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether create takes a platform: "v1.41 API changes".
    pub(crate) const fn create_has_a_platform(self) -> bool {
        self.is_at_least(41)
    }

    /// Whether create writes down that a container which is given memory alone has as much swap: what dockerd 29.8 does.
    pub(crate) const fn create_shows_swap(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the warnings of create are a list when empty: examples of the specification of 1.24.
    pub(crate) const fn create_has_empty_warnings(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether create warns of `OomKillDisable` without a limit of memory: what dockerd 29.8 does in all versions that
    /// it serves.
    pub(crate) const fn create_warns_of_endless_memory(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether create warns that `VolumeDriver` is not for `Mounts`: "v1.48 API changes".
    pub(crate) const fn create_warns_of_volume_drivers(self) -> bool {
        self.is_at_least(48)
    }

    /// Whether create warns of ports that are bound to nothing: "v1.52 API changes".
    pub(crate) const fn create_warns_of_empty_bindings(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether ports that are bound to nothing are not published: "v1.53 API changes". Before, any port of the host is
    /// theirs.
    pub(crate) const fn empty_bindings_are_dropped(self) -> bool {
        self.is_at_least(53)
    }

    /// Whether files that are copied into a container keep the owners of the archive: what dockerd 29.8 does in all
    /// versions that it serves; `copyUIDGID`, which concerns that, came with "v1.29 API changes". Before, they belong to
    /// root.
    pub(crate) const fn archives_keep_owners(self) -> bool {
        self.is_at_least(29)
    }
}
