//! `EndpointSettings`: a container's requested settings in a network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use model::{AddressRequest, Attachment, NetworkMode, NetworkReference};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::version::{ApiVersion, Since};

/// The settings of an endpoint, as clients send them. Other fields, which they send back from a response, are
/// ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EndpointSettings {
    #[serde(rename = "IPAMConfig")]
    ipam_config: Option<IpamConfig>,
    links: Option<Vec<String>>,
    aliases: Option<Vec<String>>,
    driver_opts: Since<32, Option<BTreeMap<String, String>>>,
    gw_priority: Since<48, i64>,
    pub(crate) mac_address: String,
}

/// The addresses that a container is to have.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct IpamConfig {
    #[serde(rename = "IPv4Address", skip_serializing_if = "String::is_empty")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address", skip_serializing_if = "String::is_empty")]
    ipv6_address: String,
    #[serde(rename = "LinkLocalIPs", skip_serializing_if = "Option::is_none")]
    link_local_ips: Option<Vec<String>>,
}

impl IpamConfig {
    /// The form in which a client sees what it gave.
    pub(crate) fn of(asked: &AddressRequest) -> Self {
        let text = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        let link_local: Vec<String> = asked.link_local.iter().map(ToString::to_string).collect();
        Self {
            ipv4_address: text(asked.ipv4.map(Into::into)),
            ipv6_address: text(asked.ipv6.map(Into::into)),
            link_local_ips: Some(link_local).filter(|list| !list.is_empty()),
        }
    }

    fn addresses(self) -> Result<AddressRequest, String> {
        let link_local = self.link_local_ips.into_iter().flatten();
        Ok(AddressRequest {
            ipv4: filled("IPv4 address", &self.ipv4_address)?,
            ipv6: filled("IPv6 address", &self.ipv6_address)?,
            link_local: link_local
                .map(|text| parse("link-local IP address", &text))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn filled<T: FromStr>(what: &str, text: &str) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(what, text).map(Some) }
}

fn parse<T: FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("invalid {what}: {text:?}"))
}

impl EndpointSettings {
    /// The requested settings in the network.
    ///
    /// # Errors
    /// Texts that are not addresses.
    pub(crate) fn attachment(
        self,
        network: NetworkReference,
        version: ApiVersion,
    ) -> Result<Attachment, String> {
        let mac = match self.mac_address.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| format!("invalid MAC address: {text:?}"))?),
        };
        Ok(Attachment {
            network,
            aliases: self.aliases,
            links: self.links,
            addresses: self.ipam_config.map(IpamConfig::addresses).transpose()?,
            mac,
            driver_options: self.driver_opts.known_to(version),
            gateway_priority: self.gw_priority.known_to(version),
        })
    }
}

/// `NetworkingConfig`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NetworkingConfig {
    endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
}

impl NetworkingConfig {
    /// The mode that the endpoints make of the one that was named. They take the place of its network.
    ///
    /// # Errors
    /// Endpoints without settings, several where the version has one, and a mode that has no networks.
    pub(super) fn mode(self, named: NetworkMode, version: ApiVersion) -> Result<NetworkMode, ApiError> {
        let endpoints = self.endpoints_config.unwrap_or_default();
        if endpoints.len() > 1 && !version.create_takes_several_endpoints() {
            let names: BTreeSet<&String> = endpoints.keys().collect();
            return Err(ApiError::bad_request(format!(
                "Container cannot be created with multiple network endpoints: {names:?}"
            )));
        }
        let mut attachments = Vec::new();
        for (name, settings) in endpoints {
            if name.is_empty() {
                return Err(ApiError::bad_request(
                    "invalid endpoint settings: the name of the network is empty",
                ));
            }
            let settings = settings.ok_or_else(|| {
                ApiError::bad_request(format!("invalid endpoint settings: {name} has none"))
            })?;
            let reference = NetworkReference::from(name.as_str());
            attachments.push(settings.attachment(reference, version).map_err(ApiError::bad_request)?);
        }
        let only_is = |word: &str| attachments.iter().all(|one| one.network.as_str() == word);
        match named {
            named if attachments.is_empty() => Ok(named),
            NetworkMode::Host if only_is("host") => Ok(NetworkMode::Host),
            NetworkMode::None if only_is("none") => Ok(NetworkMode::None),
            NetworkMode::Host | NetworkMode::Container(_) => Err(ApiError::bad_request(format!(
                "conflicting options: a container in the network mode {named} has no endpoints of its own"
            ))),
            NetworkMode::None => Ok(NetworkMode::Networks(attachments)),
            NetworkMode::Networks(own) => {
                let first = own.first().map(|own| own.network.as_str().to_owned());
                attachments.sort_by_key(|one| Some(one.network.as_str()) != first.as_deref());
                Ok(NetworkMode::Networks(attachments))
            }
        }
    }
}

/// The requested mode, where it differs from the actual one.
pub(super) fn shown_mode(named: &NetworkMode, actual: &NetworkMode) -> Option<String> {
    let (named, actual) = (named.to_string(), actual.to_string());
    (named != actual).then_some(named)
}
