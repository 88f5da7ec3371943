//! The platform that an image is for, and which image of a list fits this machine best.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::ImageConfig;

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

/// Why a text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// It is not written as one.
    #[error("{0:?} is not a platform: os, os/architecture or os/architecture/variant")]
    Form(String),
    /// It is one word that nothing is called by.
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Unknown(String),
}

/// The architectures that a single word can mean, by their common names (OCI image index specification, "platform": those
/// that Go has).
const ARCHITECTURES: [&str; 16] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "sparc64", "wasm", "riscv",
];

/// The operating systems that a single word can mean.
const SYSTEMS: [&str; 6] = ["darwin", "freebsd", "linux", "netbsd", "openbsd", "windows"];

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses `linux`, `arm64`, `linux/arm64` or `linux/arm/v7`.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<String> = text.split('/').map(str::to_ascii_lowercase).collect();
        let is_word = |part: &String| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            !part.is_empty() && part.bytes().all(is_letter)
        };
        if !parts.iter().all(is_word) {
            return Err(PlatformError::Form(text.to_owned()));
        }
        let host = Self::host();
        Ok(match parts.as_slice() {
            [os] if SYSTEMS.contains(&os.as_str()) => Self { os: os.clone(), ..host },
            [architecture] => {
                let architecture = common_name(architecture);
                if !ARCHITECTURES.contains(&architecture.as_str()) {
                    return Err(PlatformError::Unknown(text.to_owned()));
                }
                Self { architecture, os: host.os, variant: String::new() }
            }
            [os, architecture] => {
                Self { architecture: common_name(architecture), os: os.clone(), variant: String::new() }
            }
            [os, architecture, variant] => {
                Self { architecture: common_name(architecture), os: os.clone(), variant: variant.clone() }
            }
            _ => return Err(PlatformError::Form(text.to_owned())),
        })
    }
}

/// The name of an architecture in the OCI specification, for those that others call otherwise.
fn common_name(architecture: &str) -> String {
    match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "i386" => "386",
        other => other,
    }
    .to_owned()
}

/// How well an image fits; the last is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fitness {
    /// The list does not name the platform.
    Unsaid,
    /// The processor runs it, though it was made for a lesser one.
    Compatible,
    /// The architecture is the same, the variant another one that runs.
    OtherVariant,
    /// Exactly the wanted one.
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

    /// The platform in an image's config.
    #[must_use]
    pub fn of(config: &ImageConfig) -> Self {
        Self {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
        }
    }

    /// Whether this is the wanted platform: a variant matters only if `wanted` has one.
    #[must_use]
    pub fn is(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_empty() || self.variant.is_empty() || self.variant == wanted.variant)
    }

    /// The variant; without one arm64 means v8 and arm v7, and v1 of amd64 is that without a variant.
    fn known_variant(&self) -> &str {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm64", "") => "v8",
            ("arm", "") => "v7",
            ("amd64", "v1") => "",
            (_, variant) => variant,
        }
    }

    /// Whether a machine of this platform may run what is for `offered`. The generation of an amd64 processor is not
    /// checked.
    #[must_use]
    pub fn may_run(&self, offered: &Self) -> bool {
        let is_same = self.os == offered.os && self.architecture == offered.architecture;
        (is_same && self.architecture == "amd64") || self.fitness_of(offered).is_some()
    }

    /// How well an image for `offered` runs here; `None` when it does not.
    pub(super) fn fitness_of(&self, offered: &Self) -> Option<Fitness> {
        if offered.os != self.os {
            return None;
        }
        if offered.architecture == self.architecture {
            return match (self.known_variant(), offered.known_variant()) {
                (own, other) if own == other => Some(Fitness::Exact),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_up_to_three_parts() {
        for (text, shown) in [
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/s390x", "linux/s390x"),
            ("Linux/X86_64", "linux/amd64"),
            ("arm64", "linux/arm64"),
        ] {
            assert_eq!(text.parse::<Platform>().map(|platform| platform.to_string()), Ok(shown.to_owned()));
        }
        assert_eq!("linux".parse(), Ok(Platform::host()));
        for bad in ["bogus", "null", "v7"] {
            assert_eq!(bad.parse::<Platform>(), Err(PlatformError::Unknown(bad.to_owned())));
        }
        for bad in ["", "/", "linux/", "linux//v7", "a/b/c/d", "linux/a b", "linux/ä"] {
            assert_eq!(bad.parse::<Platform>(), Err(PlatformError::Form(bad.to_owned())));
        }
    }

    #[test]
    fn variants_that_are_understood_need_not_be_said() {
        let fitness = |wanted: &str, offered: &str| {
            let [wanted, offered]: [Platform; 2] = [wanted, offered].map(|text| text.parse().expect(text));
            wanted.fitness_of(&offered)
        };
        for (wanted, offered) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/amd64", "linux/amd64/v1"),
        ] {
            assert_eq!(fitness(wanted, offered), Some(Fitness::Exact), "{wanted} {offered}");
        }
        assert_eq!(fitness("linux/arm", "linux/arm/v6"), Some(Fitness::OtherVariant));
        assert_eq!(fitness("linux/arm/v6", "linux/arm"), None);
        assert_eq!(fitness("linux/amd64", "linux/amd64/v3"), None);
    }

    #[test]
    fn a_variant_that_was_not_asked_for_does_not_matter() {
        let is = |text: &str, wanted: &str| {
            text.parse::<Platform>().expect(text).is(&wanted.parse().expect(wanted))
        };
        assert!(is("linux/arm/v7", "linux/arm") && is("linux/arm", "linux/arm/v7"));
        assert!(!is("linux/arm/v6", "linux/arm/v7") && !is("linux/arm64", "linux/arm"));
    }
}
