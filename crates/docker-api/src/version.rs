//! Versions of the API: read from the path, compared, refused when out of range.

use super::ApiError;

/// The version that this engine speaks.
pub(crate) const CURRENT: ApiVersion = ApiVersion { major: 1, minor: 20 };
/// The oldest version that it answers to.
const OLDEST: ApiVersion = ApiVersion { major: 1, minor: 0 };

/// A version that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// Whether answers have the shape of this version, `1.minor`, or a later one.
    pub(crate) const fn is_at_least(self, minor: u32) -> bool {
        self.major > 1 || self.minor >= minor
    }
}

/// Splits `/v1.20/rest` into the version's text and `/rest`; `None` for a path without a version.
pub(super) fn split_path(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v")?;
    let (version, _) = rest.split_once('/')?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_version.then(|| (version, &rest[version.len()..]))
}

/// Parses and checks a version.
pub(super) fn check(text: &str) -> Result<ApiVersion, ApiError> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = ApiVersion { major: parts.next().unwrap_or(0), minor: parts.next().unwrap_or(0) };
    let has_more = parts.any(|part| part > 0);
    if version > CURRENT || (version == CURRENT && has_more) {
        return Err(ApiError::bad_request(format!(
            "client is newer than server (client API version: {text}, server API version: 1.20)"
        )));
    }
    if version < OLDEST {
        return Err(ApiError::bad_request(
            "client is too old, minimum supported API version is 1.0, please upgrade your client to a newer version",
        ));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
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
            assert!(check(text).is_ok(), "{text}");
        }
        for text in ["1.21", "1.99", "2.0", "1.20.1", "9.99"] {
            let error = check(text).expect_err(text).to_string();
            assert_eq!(
                error,
                format!("client is newer than server (client API version: {text}, server API version: 1.20)")
            );
        }
        assert!(check("0.9").expect_err("old").to_string().starts_with("client is too old"));
        assert!(check("1.19").expect("in range") < CURRENT);
        assert!(CURRENT.is_at_least(20) && !check("1.19").expect("in range").is_at_least(20));
    }
}
