//! Versions of the API, in one place: the range that is served, the fields' ranges, the behaviours' predicates.
//!
//! To serve a further version:
//! - **A field** that came or went: its type in the wire struct is [`Since`] or [`Until`] with the version's number.
//! - **An endpoint** that came or went: its route says `.since(n)` or `.until(n)`.
//! - **A behaviour** that is neither: a predicate in `behaviour.rs`, named after what clients see, with its source.
//! - **The version itself**: [`MAX`].
//!
//! No other file compares versions: a test of the architecture looks for their numbers.

mod behaviour;
mod field;
mod number;

pub(crate) use field::{Ranged, Since, Until};
pub use number::ApiVersion;

use crate::ApiError;

/// The newest version that is served, which a path without a version means.
pub const MAX: ApiVersion = ApiVersion::minor(20);
/// The oldest version that is served.
pub(crate) const MIN: ApiVersion = ApiVersion::minor(0);

/// Splits `/v1.20/rest` into the version's text and `/rest`; `None` for a path without a version.
pub(crate) fn split_path(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v")?;
    let (version, _) = rest.split_once('/')?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_version.then(|| (version, &rest[version.len()..]))
}

/// Parses the version that a request asks for; `None` asks for the newest.
///
/// # Errors
/// 400 above [`MAX`] and below [`MIN`].
pub(crate) fn asked(text: Option<&str>) -> Result<ApiVersion, ApiError> {
    let Some(text) = text else { return Ok(MAX) };
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = ApiVersion { major: parts.next().unwrap_or(0), minor: parts.next().unwrap_or(0) };
    let has_more = parts.any(|part| part > 0);
    if version > MAX || (version == MAX && has_more) {
        return Err(ApiError::bad_request(format!(
            "client is newer than server (client API version: {text}, server API version: {MAX})"
        )));
    }
    if version < MIN {
        return Err(ApiError::bad_request(format!(
            "client is too old, minimum supported API version is {MIN}, please upgrade your client to a newer version"
        )));
    }
    Ok(version)
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
        for text in ["1.0", "1.12", "1.19", "1.20", "01.20", "1.020", "1.20.0"] {
            assert!(asked(Some(text)).is_ok(), "{text}");
        }
        for text in ["1.21", "1.99", "2.0", "1.20.1", "9.99"] {
            let error = asked(Some(text)).expect_err(text).to_string();
            assert_eq!(
                error,
                format!("client is newer than server (client API version: {text}, server API version: 1.20)")
            );
        }
        assert_eq!(
            asked(Some("0.9")).expect_err("old").to_string(),
            "client is too old, minimum supported API version is 1.0, please upgrade your client to a newer version"
        );
        assert_eq!(asked(None).expect("the newest"), MAX);
        assert_eq!(MAX.to_string(), "1.20");
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
