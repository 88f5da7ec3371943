//! The platform that an image is for, and which image of a list fits this machine best.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operating system and a processor, in the words of the OCI specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor's architecture: `amd64`, `arm64`.
    pub architecture: String,
    /// The operating system: `linux`.
    pub os: String,
    /// The generation of the processor: `v8`; empty when it does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// How well an image fits; the last is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fitness {
    /// The list does not say what it is for.
    Unsaid,
    /// The processor runs it, though it was made for a lesser one.
    Compatible,
    /// The architecture is the same, the variant another one that runs.
    OtherVariant,
    /// Just what was looked for.
    Exact,
}

impl Platform {
    /// The platform of this machine.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self { architecture: architecture.into(), os: "linux".into(), variant: variant.into() }
    }

    /// How well an image for `offered` runs here; `None` when it does not.
    pub(super) fn fitness_of(&self, offered: &Self) -> Option<Fitness> {
        if offered.os != self.os {
            return None;
        }
        if offered.architecture == self.architecture {
            return match (self.variant.as_str(), offered.variant.as_str()) {
                (own, other) if own == other => Some(Fitness::Exact),
                // Without a variant arm64 means v8 and amd64 means v1.
                ("v8", "") if self.architecture == "arm64" => Some(Fitness::Exact),
                ("", "v1") if self.architecture == "amd64" => Some(Fitness::Exact),
                // Later generations of amd64 may use instructions that are missing here.
                ("", _) if self.architecture == "amd64" => None,
                (own, other) if other <= own => Some(Fitness::OtherVariant),
                _ => None,
            };
        }
        (self.architecture == "amd64" && offered.architecture == "386").then_some(Fitness::Compatible)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(formatter, "/{}", self.variant)?;
        }
        Ok(())
    }
}
