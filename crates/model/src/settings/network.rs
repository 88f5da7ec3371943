//! Which network a container is in: none, the host's, another container's, or networks of the engine.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MacAddress;

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

/// A container's requested settings in one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network.
    pub network: NetworkReference,
    /// Further names of the container in this network; `None` was not given.
    #[serde(default)]
    pub aliases: Option<Vec<String>>,
    /// Containers that this one can reach by an alias here, `name:alias`.
    #[serde(default)]
    pub links: Option<Vec<String>>,
    /// The addresses that it is to have; `None` was not given.
    #[serde(default)]
    pub addresses: Option<AddressRequest>,
    /// The hardware address of its interface; `None` leaves it to the network.
    #[serde(default)]
    pub mac: Option<MacAddress>,
    /// Options of the network's driver; `None` was not given.
    #[serde(default)]
    pub driver_options: Option<BTreeMap<String, String>>,
    /// The network of the highest priority gives the default route.
    #[serde(default)]
    pub gateway_priority: i64,
}

/// The addresses that a container is to have in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRequest {
    /// Its address of IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// Its address of IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Further addresses of its interface.
    pub link_local: Vec<IpAddr>,
}

impl Attachment {
    /// An attachment to this network with defaults.
    #[must_use]
    pub const fn to(network: NetworkReference) -> Self {
        Self {
            network,
            aliases: None,
            links: None,
            addresses: None,
            mac: None,
            driver_options: None,
            gateway_priority: 0,
        }
    }
}

/// The name by which clients mean the network of containers that name none.
const DEFAULT: &str = "default";

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

impl NetworkReference {
    /// The name or id that is meant.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "bridge",
            Self::Named(name) => name,
        }
    }

    /// Whether it is the default network, which three names lead to.
    #[must_use]
    pub fn is_default(&self) -> bool {
        matches!(self.as_str(), "bridge" | DEFAULT)
    }
}

/// Every text names a network.
impl From<&str> for NetworkReference {
    fn from(name: &str) -> Self {
        if name == DEFAULT { Self::Default } else { Self::Named(name.to_owned()) }
    }
}

impl NetworkMode {
    /// The mode of a container in a single network.
    #[must_use]
    pub fn network(network: NetworkReference) -> Self {
        Self::Networks(vec![Attachment::to(network)])
    }

    /// The mode as one text: of several networks the first.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Container(other) => return Cow::Owned(format!("container:{}", other.0)),
            Self::Networks(attachments) => match attachments.first().map(|first| &first.network) {
                None | Some(NetworkReference::Default) => DEFAULT,
                Some(NetworkReference::Named(name)) => name,
            },
        })
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

    /// The same, to be written otherwise.
    pub const fn joined_mut(&mut self) -> Option<&mut ContainerReference> {
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
            "" => Self::default(),
            text => match text.strip_prefix("container:") {
                Some(other) => Self::Container(ContainerReference(other.to_owned())),
                None => Self::network(text.into()),
            },
        })
    }
}

/// Writes [`NetworkMode::text`].
impl fmt::Display for NetworkMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
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
