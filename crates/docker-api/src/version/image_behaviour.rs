//! What changed between versions in images, builds, registries and what all of it takes of the disk.

use super::ApiVersion;

impl ApiVersion {
    /// Whether a build removes its intermediate containers when the query does not say: `rm` defaults to true
    /// since 1.12.
    pub(crate) const fn builds_remove_containers(self) -> bool {
        self.is_at_least(12)
    }

    /// Whether a build counts its steps (`Step 1/3 : `), names what it tagged and made, and in which line of a Dockerfile
    /// an error is: what dockerd 29.8 answers in all versions. Below 1.25 a build has the reference's words.
    pub(crate) const fn builds_have_the_words_of_today(self) -> bool {
        self.is_at_least(25)
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
}
