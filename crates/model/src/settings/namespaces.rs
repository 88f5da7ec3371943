//! Where a container's other namespaces come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ContainerReference, SettingError};

/// Implements the usual spellings of an enum, the forms of rows among them. What is no word of its own
/// may be a reference to a container, where the enum has such a variant.
macro_rules! words {
    ($name:ident, $error:ident, { $($variant:ident = $word:literal),+ } $(, joins $joins:ident)?) => {
        impl FromStr for $name {
            type Err = SettingError;
            fn from_str(text: &str) -> Result<Self, SettingError> {
                $(
                    if text == $word {
                        return Ok(Self::$variant);
                    }
                )+
                $(
                    if let Some(other) = text.strip_prefix("container:") {
                        return Ok(Self::$joins(ContainerReference(other.to_owned())));
                    }
                )?
                Err(SettingError::$error(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => formatter.write_str($word),)+
                    $(Self::$joins(other) => write!(formatter, "container:{}", other.as_str()),)?
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = SettingError;
            fn try_from(text: String) -> Result<Self, SettingError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(mode: $name) -> Self {
                mode.to_string()
            }
        }
    };
}

/// Which processes a container sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PidMode {
    /// By default its own.
    #[default]
    Default,
    /// Its own, by name.
    Private,
    /// All of the host.
    Host,
    /// Those of another container.
    Container(ContainerReference),
}

words!(PidMode, PidMode, { Default = "", Private = "private", Host = "host" }, joins Container);

/// The namespace of a container's System V IPC, message queues and /dev/shm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IpcMode {
    /// By default its own, which others may join.
    #[default]
    Default,
    /// Its own, which others cannot join.
    Private,
    /// Its own, which others may join.
    Shareable,
    /// Its own, which others cannot join, without /dev/shm.
    None,
    /// The host's.
    Host,
    /// Those of another container.
    Container(ContainerReference),
}

words!(
    IpcMode,
    IpcMode,
    { Default = "", Private = "private", Shareable = "shareable", None = "none", Host = "host" },
    joins Container
);

/// The namespace of a container's host name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UtsMode {
    /// By default its own.
    #[default]
    Default,
    /// Its own, by name.
    Private,
    /// The host's.
    Host,
}

words!(UtsMode, UtsMode, { Default = "", Private = "private", Host = "host" });

/// Which user namespace a container is in: there is only the host's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UserNamespaceMode {
    /// The default.
    #[default]
    Default,
    /// The host's, by name.
    Host,
}

words!(UserNamespaceMode, UserNamespaceMode, { Default = "", Host = "host" });

/// Which cgroups a container sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CgroupNamespaceMode {
    /// By default its own where the host has the unified hierarchy alone.
    #[default]
    Default,
    /// Its own.
    Private,
    /// All of the host.
    Host,
}

words!(CgroupNamespaceMode, CgroupNamespaceMode, { Default = "", Private = "private", Host = "host" });

impl PidMode {
    /// The container whose processes this one sees.
    #[must_use]
    pub const fn joined(&self) -> Option<&ContainerReference> {
        match self {
            Self::Container(other) => Some(other),
            Self::Default | Self::Private | Self::Host => None,
        }
    }

    /// The same, to be written otherwise.
    pub const fn joined_mut(&mut self) -> Option<&mut ContainerReference> {
        match self {
            Self::Container(other) => Some(other),
            Self::Default | Self::Private | Self::Host => None,
        }
    }
}

impl IpcMode {
    /// Whether other containers may join it.
    #[must_use]
    pub const fn is_shareable(&self) -> bool {
        !matches!(self, Self::Private | Self::None)
    }

    /// The container whose IPC namespace this one joins.
    #[must_use]
    pub const fn joined(&self) -> Option<&ContainerReference> {
        match self {
            Self::Container(other) => Some(other),
            Self::Default | Self::Private | Self::Shareable | Self::None | Self::Host => None,
        }
    }

    /// The same, to be written otherwise.
    pub const fn joined_mut(&mut self) -> Option<&mut ContainerReference> {
        match self {
            Self::Container(other) => Some(other),
            Self::Default | Self::Private | Self::Shareable | Self::None | Self::Host => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_they_were_read() {
        for text in ["", "private", "host", "container:x", "container:"] {
            assert_eq!(text.parse::<PidMode>().expect(text).to_string(), text);
        }
        for text in ["", "shareable", "none", "container:x"] {
            assert_eq!(text.parse::<IpcMode>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn unknown_modes_are_refused_in_the_words_that_clients_know() {
        let text = |error: SettingError| error.to_string();
        assert_eq!("foo".parse::<PidMode>().map_err(text), Err("Invalid PID mode: foo".to_owned()));
        assert_eq!("none".parse::<PidMode>().map_err(text), Err("Invalid PID mode: none".to_owned()));
        assert_eq!("foo".parse::<IpcMode>().map_err(text), Err("Invalid IPC mode: foo".to_owned()));
        assert_eq!(
            "container:x".parse::<UtsMode>().map_err(text),
            Err("Invalid UTS mode: container:x".to_owned())
        );
        assert!("private".parse::<UserNamespaceMode>().is_err());
        assert!("shared".parse::<CgroupNamespaceMode>().is_err());
    }
}
