//! The driver of volumes that a container asks for.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The driver of a container's volumes that name none themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum VolumeDriverChoice {
    /// The daemon's default.
    #[default]
    Default,
    /// Directories of this host.
    Local,
    /// A driver that is not there.
    Unregistered(String),
}

impl FromStr for VolumeDriverChoice {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text.to_owned()))
    }
}

impl From<String> for VolumeDriverChoice {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" => Self::Default,
            "local" => Self::Local,
            _ => Self::Unregistered(text),
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
        formatter.write_str(match self {
            Self::Default => "",
            Self::Local => "local",
            Self::Unregistered(name) => name,
        })
    }
}
