//! `POST /networks/create`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use http::StatusCode;
use model::{NetworkDefinition, NetworkDriver, Pool};
use serde::{Deserialize, Serialize};

use crate::version::{ApiVersion, Since};
use crate::{ApiError, Call, Handled, Reply, body, json};

/// The option that stands for `EnableIPv4` where that is not given.
const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
/// The option that stands for `EnableIPv6` where that is not given.
const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";

/// The body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NewNetwork {
    name: String,
    driver: String,
    scope: String,
    internal: bool,
    attachable: Since<25, bool>,
    ingress: Since<29, bool>,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: Since<48, Option<bool>>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: Option<bool>,
    #[serde(rename = "IPAM")]
    ipam: Option<Ipam>,
    config_only: Since<30, bool>,
    config_from: Since<30, Option<ConfigReference>>,
    options: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

/// `IPAM`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ipam {
    driver: String,
    options: Option<BTreeMap<String, String>>,
    config: Option<Vec<WirePool>>,
}

/// One of `IPAM.Config`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WirePool {
    subnet: String,
    #[serde(rename = "IPRange")]
    ip_range: String,
    gateway: String,
    auxiliary_addresses: Option<BTreeMap<String, String>>,
}

/// `ConfigFrom`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConfigReference {
    network: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateAnswer<'a> {
    id: &'a str,
    warning: &'static str,
}

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = body::read(&mut call).await?;
    let new: NewNetwork = json::from_body(&body).map_err(body::malformed)?;
    let created = call.engine.networks.create(new.definition(call.version)?).await?;
    Reply::json(StatusCode::CREATED, &CreateAnswer { id: created.id.as_str(), warning: "" })
}

impl NewNetwork {
    /// What the network is asked to be.
    fn definition(self, version: ApiVersion) -> Result<NetworkDefinition, ApiError> {
        if self.scope == "swarm" || self.ingress.known_to(version) {
            return Err(ApiError::forbidden(
                "This node is not a swarm manager: there are only local networks",
            ));
        }
        let ipam = self.ipam.unwrap_or_default();
        if !matches!(ipam.driver.as_str(), "" | "default") {
            return Err(ApiError::not_found(format!("plugin {:?} not found", ipam.driver)));
        }
        let driver: NetworkDriver = self
            .driver
            .parse()
            .map_err(|error: model::UnknownDriver| ApiError::not_found(error.to_string()))?;
        let options = self.options.unwrap_or_default();
        let from_options = |name: &str| match options.get(name).map(String::as_str) {
            None | Some("") => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(ApiError::bad_request(format!("failed to parse {name} value: {other:?}"))),
        };
        let config_from = self.config_from.known_to(version).unwrap_or_default().network;
        Ok(NetworkDefinition {
            driver,
            ipv4: self.enable_ipv4.known_to(version).or(from_options(ENABLE_IPV4)?).unwrap_or(true),
            ipv6: self.enable_ipv6.or(from_options(ENABLE_IPV6)?).unwrap_or(false),
            name: self.name,
            internal: self.internal,
            attachable: self.attachable.known_to(version),
            config_only: self.config_only.known_to(version),
            config_from: Some(config_from).filter(|source| !source.is_empty()),
            labels: self.labels.unwrap_or_default(),
            ipam_options: ipam.options,
            pools: ipam.config.into_iter().flatten().map(WirePool::pool).collect::<Result<_, _>>()?,
            options,
        })
    }
}

impl WirePool {
    fn pool(self) -> Result<Pool, ApiError> {
        let auxiliary = self.auxiliary_addresses.into_iter().flatten();
        let auxiliary = auxiliary.map(|(name, text)| {
            let address: IpAddr = parse("AuxiliaryAddresses", &text)?;
            Ok::<_, ApiError>((name, address))
        });
        Ok(Pool {
            subnet: filled("Subnet", &self.subnet)?,
            range: filled("IPRange", &self.ip_range)?,
            gateway: filled("Gateway", &self.gateway)?,
            auxiliary: auxiliary.collect::<Result<_, _>>()?,
        })
    }
}

fn filled<T: FromStr>(field: &str, text: &str) -> Result<Option<T>, ApiError> {
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

fn parse<T: FromStr>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request(format!("invalid JSON: IPAM.Config.{field}: {text:?}")))
}
