//! Differences between versions in images, builds, registries and their disk usage.

use engine::builder::Wording;

use super::ApiVersion;

impl ApiVersion {
    /// Whether a build removes its intermediate containers by default: `rm` defaults to true since 1.12.
    pub(crate) const fn builds_remove_containers(self) -> bool {
        self.is_at_least(12)
    }

    /// The texts of a build, and of the changes of a commit or an import. The current ones number steps (`Step 1/3 : `), name what
    /// was tagged and made and the line of a Dockerfile's error: what dockerd 20.10 and 29.8 answer in all versions that they
    /// serve. Below 1.24 a build has the texts of the reference.
    pub(crate) const fn wording_of_builds(self) -> Wording {
        if self.is_at_least(24) { Wording::Today } else { Wording::Reference }
    }

    /// Whether an image is saved as an OCI layout: since Docker 25, whose version is 1.44. Before, in the layout of 1.20.
    pub(crate) const fn images_are_saved_as_layouts(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether a push begins with `The push refers to repository [x]`, without the number of tags: what dockerd 29.8 answers
    /// in all versions that it serves.
    pub(crate) const fn pushes_have_the_words_of_today(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether `/system/df` takes `type`: "v1.42 API changes". Before, it is no parameter.
    pub(crate) const fn disk_usage_has_types(self) -> bool {
        self.is_at_least(42)
    }

    /// Whether `/system/df` has sums of each kind, and `verbose`: "v1.52 API changes".
    pub(crate) const fn disk_usage_has_sums(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether a login gives an identity token where the token service has one: "v1.23 API changes".
    pub(crate) const fn logins_give_identity_tokens(self) -> bool {
        self.is_at_least(23)
    }

    /// Whether a login that a registry refuses is 401: specification of 1.24. Before, it is 500, as the reference answers.
    pub(crate) const fn refused_logins_are_unauthorized(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether save and load take several platforms: "v1.52 API changes".
    pub(crate) const fn archives_have_several_platforms(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether the list of images takes `manifests`: "v1.47 API changes".
    pub(crate) const fn image_list_has_manifests(self) -> bool {
        self.is_at_least(47)
    }

    /// Whether the list of images takes `identity`: "v1.54 API changes".
    pub(crate) const fn image_list_has_identities(self) -> bool {
        self.is_at_least(54)
    }

    /// Whether inspect of an image takes `manifests`: "v1.48 API changes".
    pub(crate) const fn inspect_has_manifests(self) -> bool {
        self.is_at_least(48)
    }

    /// Whether push takes a platform: "v1.46 API changes".
    pub(crate) const fn push_has_a_platform(self) -> bool {
        self.is_at_least(46)
    }

    /// Whether a push may come without any credentials: what dockerd 29.8 answers in all versions that it serves.
    /// Before, the header or a body must be there.
    pub(crate) const fn push_needs_no_credentials(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the answer to a load is a stream of JSON: "v1.23 API changes". Before, it is text.
    pub(crate) const fn load_is_a_json_stream(self) -> bool {
        self.is_at_least(23)
    }

    /// Whether history, save and load take a platform: "v1.48 API changes".
    pub(crate) const fn history_and_archives_have_a_platform(self) -> bool {
        self.is_at_least(48)
    }

    /// Whether the digest that a registry has for a tag becomes a name of the pulled image: what dockerd has
    /// answered since ids are digests. Before, only a pull by digest gives one.
    pub(crate) const fn pulls_keep_digests(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether a name that ends with a colon is no name: what dockerd 29.8 answers in all versions that it serves. To the
    /// reference it has the tag `latest`.
    pub(crate) const fn names_need_what_their_colon_announces(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the name of a push may have a tag of its own: what dockerd 29.8 does. The reference refuses it.
    pub(crate) const fn pushed_names_may_have_a_tag(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether an import reports a download only once there is something to download: what dockerd 29.8 does, whose response
    /// to a missing source is an error. In the reference it is part of a stream.
    pub(crate) const fn imports_fail_before_they_are_shown(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether an import that gives a name has a `tag` event with that name, and an `import` event with the id: what dockerd
    /// 29.8 has. The reference has the latter alone, with the name.
    pub(crate) const fn imports_tell_of_their_tag(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a search without a term is refused with a message about the term, a required parameter of the specification.
    /// The reference takes it for the name of a repository.
    pub(crate) const fn searches_name_their_term(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether an image whose configuration has no date shows none, and 0 in a list: "v1.44 API changes". Before, it shows the
    /// year 1.
    pub(crate) const fn images_without_a_date_show_none(self) -> bool {
        self.is_at_least(44)
    }

    /// Whether a `tag` parameter overrides the tag or digest of a pull's image: what dockerd 29.8 does. The reference refuses
    /// such an image as a name.
    pub(crate) const fn pulls_prefer_the_tag_apart(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a removal by force takes the name of an image that a running container uses: what dockerd 29.8 does. The
    /// reference refuses it.
    pub(crate) const fn forced_removals_take_names_in_use(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the refusal of a removal names what could not be deleted, whether force would help, and why: what dockerd
    /// 29.8 answers in all versions that it serves.
    pub(crate) const fn removals_have_the_words_of_today(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether containers of images that were built on an image do not keep its name: what dockerd has answered since ids are
    /// digests. The reference refuses the removal.
    pub(crate) const fn names_of_parents_are_free(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether ids of images begin with `sha256:`: "v1.22 API changes" and the examples of the specification of
    /// 1.24.
    pub(crate) const fn image_ids_have_algorithm(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether the size of an image is that of all its layers: what dockerd has answered since ids are digests.
    /// Before, it is that of its own.
    pub(crate) const fn image_size_is_of_all_layers(self) -> bool {
        self.is_at_least(22)
    }

    /// Whether the list of images has `filter`, a pattern of names: "v1.41 API changes" removes it.
    pub(crate) const fn image_list_has_a_name(self) -> bool {
        !self.is_at_least(41)
    }

    /// Whether `shared-size` of the list of images counts: "v1.42 API changes". Before, it is no parameter.
    pub(crate) const fn image_list_counts_shared_bytes(self) -> bool {
        self.is_at_least(42)
    }

    /// Whether the list of images counts their containers: "v1.51 API changes". Before, it has -1.
    pub(crate) const fn image_list_counts_containers(self) -> bool {
        self.is_at_least(51)
    }

    /// Whether images without a name have empty lists of names: "v1.43 API changes". Before, they are called
    /// `<none>`.
    pub(crate) const fn unnamed_images_have_empty_lists(self) -> bool {
        self.is_at_least(43)
    }

    /// Whether the removal of an image takes platforms: "v1.50 API changes".
    pub(crate) const fn image_removal_has_platforms(self) -> bool {
        self.is_at_least(50)
    }

    /// Whether pull and import take a platform: "v1.32 API changes".
    pub(crate) const fn import_has_a_platform(self) -> bool {
        self.is_at_least(32)
    }

    /// Whether the tag of a new name may stand in `repo`, where `tag` overrules it: what dockerd 29.8 answers in
    /// all versions that it serves.
    pub(crate) const fn new_tags_may_stand_in_the_name(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether a tag that names another image moves: "v1.24 API changes" removed `force`.
    pub(crate) const fn tags_always_move(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the config of an image lacks the values of container-only fields, though it has the fields: what
    /// dockerd 29.8 answers in all versions that it serves.
    pub(crate) const fn image_config_has_no_values_of_containers(self) -> bool {
        self.is_at_least(24)
    }

    /// Whether the config of an image has only fields of images: "v1.50 API changes".
    pub(crate) const fn image_config_is_of_images(self) -> bool {
        self.is_at_least(50)
    }

    /// Whether the config of an image has no empty fields: "v1.52 API changes".
    pub(crate) const fn image_config_leaves_out_what_is_empty(self) -> bool {
        self.is_at_least(52)
    }

    /// Whether inspect of an image has no empty fields: "v1.52 API changes".
    pub(crate) const fn image_inspect_leaves_out_what_is_empty(self) -> bool {
        self.is_at_least(52)
    }
}
