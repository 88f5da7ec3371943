//! Fields that not every version has: the range is the field's type, so that it is next to the name.
//!
//! ```text
//! #[serde(skip_serializing_if = "Ranged::is_absent")]
//! mounts: Since<20, &'a [MountPoint]>,     // Ranged::at(version, || …) computes it where it is shown
//! #[serde(default)]
//! gw_priority: Since<48, i64>,             // known_to(version) drops it where the version does not have it
//! ```

use serde::{Deserialize, Deserializer, Serialize};

use super::ApiVersion;

/// A field of the versions from `1.SINCE` up to, and without, `1.UNTIL`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Ranged<const SINCE: u32, const UNTIL: u32, T>(Option<T>);

/// A field that came with `1.SINCE`.
pub(crate) type Since<const SINCE: u32, T> = Ranged<SINCE, { u32::MAX }, T>;
/// A field that `1.UNTIL` no longer has.
pub(crate) type Until<const UNTIL: u32, T> = Ranged<0, UNTIL, T>;

impl<const SINCE: u32, const UNTIL: u32, T> Ranged<SINCE, UNTIL, T> {
    /// The field of an answer in this version; the value is computed only where it is shown.
    pub(crate) fn at(version: ApiVersion, value: impl FnOnce() -> T) -> Self {
        Self(version.is_within(SINCE, UNTIL).then(value))
    }

    /// Whether the answer's version lacks it.
    pub(crate) const fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// The value, where the answer's version has the field.
    pub(crate) const fn shown(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The field of a request of this version: the empty value where its version did not have the field.
    pub(crate) fn known_to(self, version: ApiVersion) -> T
    where
        T: Default,
    {
        self.0.filter(|_| version.is_within(SINCE, UNTIL)).unwrap_or_default()
    }
}

impl<const SINCE: u32, const UNTIL: u32, T> Default for Ranged<SINCE, UNTIL, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, const SINCE: u32, const UNTIL: u32, T: Deserialize<'de>> Deserialize<'de>
    for Ranged<SINCE, UNTIL, T>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json;

    #[derive(Serialize)]
    struct Answer {
        name: &'static str,
        #[serde(skip_serializing_if = "Ranged::is_absent")]
        mounts: Since<20, Vec<u32>>,
        #[serde(skip_serializing_if = "Ranged::is_absent")]
        volumes: Until<20, u32>,
        #[serde(flatten)]
        limits: Until<19, Limits>,
    }

    #[derive(Serialize)]
    struct Limits {
        memory: i64,
    }

    fn answer(minor: u32) -> serde_json::Value {
        let version = ApiVersion::minor(minor);
        let answer = Answer {
            name: "web",
            mounts: Ranged::at(version, || vec![1]),
            volumes: Ranged::at(version, || 2),
            limits: Ranged::at(version, || Limits { memory: 3 }),
        };
        serde_json::to_value(answer).expect("JSON")
    }

    #[test]
    fn answers_have_the_fields_of_their_version() {
        assert_eq!(answer(18), json!({"name": "web", "volumes": 2, "memory": 3}));
        assert_eq!(answer(19), json!({"name": "web", "volumes": 2}));
        assert_eq!(answer(20), json!({"name": "web", "mounts": [1]}));
    }

    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Body {
        gw_priority: Since<48, i64>,
        cpuset: Until<19, String>,
    }

    #[test]
    fn requests_lose_the_fields_that_their_version_does_not_know() {
        let read = |body: &str| json::from_body::<Body>(body.as_bytes()).expect(body);
        let full = r#"{"gwpriority":7,"Cpuset":"0-1"}"#;
        let at = |minor| ApiVersion::minor(minor);
        assert_eq!(read(full).gw_priority.known_to(at(47)), 0);
        assert_eq!(read(full).gw_priority.known_to(at(48)), 7);
        assert_eq!(read(full).cpuset.known_to(at(18)), "0-1");
        assert_eq!(read(full).cpuset.known_to(at(19)), "");
        assert_eq!(read(r#"{"GwPriority":null}"#).gw_priority.known_to(at(48)), 0);
        assert_eq!(read("{}").gw_priority.known_to(at(48)), 0);
    }
}
