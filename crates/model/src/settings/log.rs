//! Where a container's output goes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A log driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The driver; `None` is the daemon's choice.
    pub driver: Option<LogDriver>,
    /// Its options, which each driver checks when a container starts.
    pub options: BTreeMap<String, String>,
}

/// What takes a container's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LogDriver {
    /// A file of JSON lines that berth reads again.
    JsonFile,
    /// Nothing.
    None,
    /// A syslog server, or the host's own.
    Syslog,
    /// The host's journal.
    Journald,
    /// A server of Graylog's format.
    Gelf,
    /// A driver that is not there: the container can be made and does not start.
    Unregistered(String),
}

impl FromStr for LogDriver {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text.to_owned()))
    }
}

impl From<String> for LogDriver {
    fn from(text: String) -> Self {
        match text.as_str() {
            "json-file" => Self::JsonFile,
            "none" => Self::None,
            "syslog" => Self::Syslog,
            "journald" => Self::Journald,
            "gelf" => Self::Gelf,
            _ => Self::Unregistered(text),
        }
    }
}

impl From<LogDriver> for String {
    fn from(driver: LogDriver) -> Self {
        driver.to_string()
    }
}

impl LogDriver {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::JsonFile => "json-file",
            Self::None => "none",
            Self::Syslog => "syslog",
            Self::Journald => "journald",
            Self::Gelf => "gelf",
            Self::Unregistered(name) => name,
        }
    }
}

impl fmt::Display for LogDriver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
