//! The driver of a container's volumes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The driver of volumes that name none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum VolumeDriverChoice {
    /// The engine's choice.
    #[default]
    Default,
    /// Directories of the engine's own.
    Local,
    /// A driver that is not there: the container is refused.
    Unregistered(String),
}

impl VolumeDriverChoice {
    /// Its name; empty for the engine's choice.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Default => "",
            Self::Local => "local",
            Self::Unregistered(name) => name,
        }
    }
}

impl From<String> for VolumeDriverChoice {
    fn from(name: String) -> Self {
        match name.as_str() {
            "" => Self::Default,
            "local" => Self::Local,
            _ => Self::Unregistered(name),
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
