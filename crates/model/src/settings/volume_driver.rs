//! The drivers of volumes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What keeps the content of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VolumeDriverKind {
    /// Directories of the engine's own, or mounts that its options name.
    #[default]
    Local,
}

impl VolumeDriverKind {
    /// Its name in requests and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
        }
    }

    /// The driver of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Local].into_iter().find(|driver| driver.name() == name)
    }
}

/// Writes its name.
impl fmt::Display for VolumeDriverKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The driver that a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum VolumeDriverChoice {
    /// The engine's choice.
    #[default]
    Default,
    /// This one.
    Named(VolumeDriverKind),
    /// A driver that is not there: the container or the volume is refused.
    Unregistered(String),
}

impl VolumeDriverChoice {
    /// Its name; empty for the engine's choice.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Default => "",
            Self::Named(driver) => driver.name(),
            Self::Unregistered(name) => name,
        }
    }
}

impl From<String> for VolumeDriverChoice {
    fn from(name: String) -> Self {
        match VolumeDriverKind::of(&name) {
            Some(driver) => Self::Named(driver),
            None if name.is_empty() => Self::Default,
            None => Self::Unregistered(name),
        }
    }
}

impl From<VolumeDriverChoice> for String {
    fn from(driver: VolumeDriverChoice) -> Self {
        driver.to_string()
    }
}

impl fmt::Display for VolumeDriverChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
