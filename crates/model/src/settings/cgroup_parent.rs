//! The cgroup beneath which a container's own is made.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clean_path::clean;

/// A cgroup by its absolute path beneath the root of each hierarchy; no path climbs above that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct CgroupParent(String);

impl CgroupParent {
    /// Its path relative to a hierarchy's root.
    #[must_use]
    pub fn relative(&self) -> &Path {
        Path::new(self.0.trim_start_matches('/'))
    }
}

impl FromStr for CgroupParent {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(clean(text).to_string_lossy().into_owned()))
    }
}

impl From<String> for CgroupParent {
    fn from(text: String) -> Self {
        let Ok(parent) = text.parse();
        parent
    }
}

impl From<CgroupParent> for String {
    fn from(parent: CgroupParent) -> Self {
        parent.0
    }
}

impl fmt::Display for CgroupParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_climbs_above_the_root() {
        for (text, want) in [
            ("/a/b", "a/b"),
            ("a//b/", "a/b"),
            ("../../a", "a"),
            ("a/../..", ""),
            ("/", ""),
            ("x.slice", "x.slice"),
        ] {
            let Ok(parent) = text.parse::<CgroupParent>();
            assert_eq!(parent.relative(), Path::new(want), "{text}");
        }
    }
}
