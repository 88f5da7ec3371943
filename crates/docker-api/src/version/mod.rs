//! Versions of the API, in one place: the range that is served, the fields' ranges, the behaviours' predicates.
//!
//! To serve a further version:
//! - **A field** that came or went: its type in the wire struct is [`Since`] or [`Until`] with the version's number.
//! - **An endpoint** that came or went: its route has `.since(n)` or `.until(n)`.
//! - **Other behaviour**: a predicate in `behaviour.rs` or a file beside it, named after what clients see, with its source.
//! - **The version itself**: [`MAX`], once its families are whole.
//!
//! No other file compares versions: an architecture test searches them for their numbers.

mod behaviour;
mod containers;
mod field;
mod health;
mod image_behaviour;
mod number;
mod streams;

pub(crate) use behaviour::{
    IMAGE_MOUNTS_SINCE, START_SETTINGS_DEPRECATED, START_SETTINGS_REMOVED, VOLUME_SUBPATHS_SINCE,
};
pub(crate) use field::{Ranged, Since, Until};
pub use number::ApiVersion;

use std::str::FromStr;

use crate::ApiError;

/// The newest version that is served.
pub const MAX: ApiVersion = ApiVersion::minor(55);
/// The version of the reference, Docker 1.8.3: every daemon serves it.
pub const REFERENCE: ApiVersion = ApiVersion::minor(20);
/// The oldest version that is served.
pub(crate) const MIN: ApiVersion = ApiVersion::minor(0);

/// The text is not the number of a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version of the API from {REFERENCE} to {MAX}")]
pub struct VersionError(String);

impl FromStr for ApiVersion {
    type Err = VersionError;

    /// Parses the newest version that a daemon is to serve.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (version, _) = Self::parts(text);
        let is_served = (REFERENCE..=MAX).contains(&version) && version.to_string() == text;
        is_served.then_some(version).ok_or_else(|| VersionError(text.to_owned()))
    }
}

/// Splits `/v1.20/rest` into the version's text and `/rest`; `None` for a path without a version.
pub(crate) fn split_path(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v")?;
    let (version, _) = rest.split_once('/')?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_version.then(|| (version, &rest[version.len()..]))
}

/// Parses the version of a request; `None` stands for `maximum`, the newest that is served.
///
/// # Errors
/// 400 above `maximum` and below [`MIN`].
pub(crate) fn asked(text: Option<&str>, maximum: ApiVersion) -> Result<ApiVersion, ApiError> {
    let Some(text) = text else { return Ok(maximum) };
    let (version, has_more) = ApiVersion::parts(text);
    if version > maximum || (version == maximum && has_more) {
        return Err(ApiError::bad_request(if maximum.refusals_say_too_new() {
            format!("client version {text} is too new. Maximum supported API version is {maximum}")
        } else {
            format!("client is newer than server (client API version: {text}, server API version: {maximum})")
        }));
    }
    if version < MIN {
        return Err(ApiError::bad_request(format!(
            "client is too old, minimum supported API version is {MIN}, please upgrade your client to a newer version"
        )));
    }
    Ok(version)
}

/// The version in which a refusal of this path is written: the one in the path, where that is served.
pub(crate) fn of_path(path: &str, maximum: ApiVersion) -> ApiVersion {
    let text = split_path(path).map(|(text, _)| text);
    asked(text, maximum).unwrap_or(maximum)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn paths_are_split() {
        assert_eq!(split_path("/v1.20/info"), Some(("1.20", "/info")));
        for path in ["/info", "/version", "/v1.20", "/vfoo/x", "/v1.x/y", "/v/version", "/V1.20/x", "/"] {
            assert_eq!(split_path(path), None, "{path}");
        }
    }

    #[test]
    fn versions_in_and_out_of_range() {
        let maximum = ApiVersion::minor(20);
        for text in ["1.0", "1.12", "1.19", "1.20", "01.20", "1.020", "1.20.0"] {
            assert!(asked(Some(text), maximum).is_ok(), "{text}");
        }
        for text in ["1.21", "1.99", "2.0", "1.20.1", "9.99", "1.4294967296", "99999999999.1"] {
            let error = asked(Some(text), maximum).expect_err(text).to_string();
            assert_eq!(
                error,
                format!("client is newer than server (client API version: {text}, server API version: 1.20)")
            );
        }
        assert_eq!(
            asked(Some("0.9"), maximum).expect_err("old").to_string(),
            "client is too old, minimum supported API version is 1.0, please upgrade your client to a newer version"
        );
        assert_eq!(asked(None, maximum).expect("the newest"), maximum);
        assert_eq!(maximum.to_string(), "1.20");
    }

    #[test]
    fn the_maximum_may_be_a_later_one() {
        let maximum = ApiVersion::minor(55);
        assert_eq!(asked(Some("1.44"), maximum).expect("served").to_string(), "1.44");
        assert_eq!(
            asked(Some("1.56"), maximum).expect_err("too new").to_string(),
            "client version 1.56 is too new. Maximum supported API version is 1.55"
        );
        assert_eq!(of_path("/v1.22/info", MAX).to_string(), "1.22");
        for path in ["/info", "/v9.9/info", "/v1.x/info"] {
            assert_eq!(of_path(path, MAX), MAX, "{path}");
        }
    }

    #[test]
    fn a_maximum_is_a_version_of_the_range() {
        for version in [REFERENCE, ApiVersion::minor(REFERENCE.minor + 1), MAX] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        let (older, newer) = (ApiVersion::minor(REFERENCE.minor - 1), ApiVersion::minor(MAX.minor + 1));
        for text in
            ["", &older.to_string(), &newer.to_string(), "2.0", &format!("{MAX}.1"), &format!("0{MAX}"), "x"]
        {
            assert_eq!(text.parse::<ApiVersion>(), Err(VersionError(text.to_owned())));
        }
    }

    /// The sources of this crate outside of `version`, without comments and tests.
    fn code_elsewhere() -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut waiting = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(directory) = waiting.pop() {
            for entry in std::fs::read_dir(&directory).expect("a directory").flatten() {
                let path = entry.path();
                let name = entry.file_name().to_string_lossy().into_owned();
                if path.is_dir() && name != "version" {
                    waiting.push(path);
                } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                    let text = std::fs::read_to_string(&path).expect("a source file");
                    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                    found.push((path, lines.collect::<Vec<_>>().join("\n")));
                }
            }
        }
        assert!(found.len() > 30, "the sources were not found");
        found
    }

    #[test]
    fn numbers_of_versions_stand_here_and_beside_fields_and_routes_only() {
        let number = |code: &str| {
            let is_number = |piece: &str| {
                let minor = piece.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
                minor.len() == 2
            };
            code.split("1.").skip(1).any(is_number)
        };
        assert!(number("\"v1.20\"") && !number("[1.5]") && !number("127.0.0.1"));
        for (path, code) in code_elsewhere() {
            assert!(!number(&code), "{} names a version", path.display());
            assert!(!code.contains("ApiVersion {"), "{} makes a version", path.display());
            assert!(!code.contains("ApiVersion::minor"), "{} makes a version", path.display());
        }
    }

    #[test]
    fn a_range_holds_its_first_version_and_not_its_end() {
        let within = |minor| ApiVersion::minor(minor).is_within(19, 21);
        assert_eq!([18, 19, 20, 21].map(within), [false, true, true, false]);
        assert!(ApiVersion { major: 2, minor: 0 }.is_at_least(99));
        assert!(!ApiVersion { major: 0, minor: 99 }.is_at_least(1));
    }
}
