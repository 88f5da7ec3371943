//! Which network a container is in: none, the host's, another container's, or networks of the engine.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a container's network comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// A network namespace of its own with nothing but the loopback interface.
    None,
    /// The host's network namespace.
    Host,
    /// The network namespace of another container.
    Container(ContainerReference),
    /// A network namespace of its own with an interface in each of these networks.
    Networks(Vec<Attachment>),
}

/// What a container asks of one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network.
    pub network: NetworkReference,
}

/// How a container names a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkReference {
    /// The network of containers that name none.
    Default,
    /// Its name or id; looked up when the container starts.
    Named(String),
}

/// The name, the id or the start of the id of another container, as the client gave it; looked up
/// when it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerReference(pub String);

impl ContainerReference {
    /// The reference's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NetworkMode {
    /// The mode of a container in a single network.
    #[must_use]
    pub fn network(network: NetworkReference) -> Self {
        Self::Networks(vec![Attachment { network }])
    }

    /// Whether the container shares the host's network.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        matches!(self, Self::Host)
    }

    /// The container whose network this one joins.
    #[must_use]
    pub const fn joined(&self) -> Option<&ContainerReference> {
        match self {
            Self::Container(other) => Some(other),
            Self::None | Self::Host | Self::Networks(_) => None,
        }
    }
}

impl Default for NetworkMode {
    fn default() -> Self {
        Self::network(NetworkReference::Default)
    }
}

/// Every text is a mode: what is no word of its own names a network.
impl FromStr for NetworkMode {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "none" => Self::None,
            "host" => Self::Host,
            "" | "default" => Self::default(),
            text => match text.strip_prefix("container:") {
                Some(other) => Self::Container(ContainerReference(other.to_owned())),
                None => Self::network(NetworkReference::Named(text.to_owned())),
            },
        })
    }
}

/// Writes the mode as one text: of several networks the first.
impl fmt::Display for NetworkMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Host => formatter.write_str("host"),
            Self::Container(other) => write!(formatter, "container:{}", other.0),
            Self::Networks(attachments) => match attachments.first().map(|first| &first.network) {
                None | Some(NetworkReference::Default) => formatter.write_str("default"),
                Some(NetworkReference::Named(name)) => formatter.write_str(name),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_as_it_was_read() {
        for text in ["none", "host", "default", "bridge", "container:web", "container:", "own"] {
            let mode: NetworkMode = text.parse().expect("total");
            assert_eq!(mode.to_string(), text);
        }
        assert_eq!("".parse(), Ok(NetworkMode::default()), "nothing is the default");
    }
}
