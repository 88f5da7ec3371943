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
    /// The network's definition.
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
            pools: pools(ipam.config.unwrap_or_default())?,
            options,
        })
    }
}

/// Reads the pools.
///
/// # Errors
/// Texts that are not addresses. Then all faults of the pools are reported, contradictions too.
fn pools(written: Vec<WirePool>) -> Result<Vec<Pool>, ApiError> {
    let (mut pools, mut unreadable, mut faults) = (Vec::new(), 0, Vec::new());
    for one in written {
        let (pool, of_texts) = one.pool();
        unreadable += of_texts.len();
        faults.extend(of_texts);
        // An unreadable subnet contradicts nothing.
        if let Some(pool) = pool {
            faults.extend(engine::pool_faults(&pool));
            pools.push(pool);
        }
    }
    match (unreadable, faults.as_slice()) {
        (0, _) => Ok(pools),
        (_, [only]) => Err(ApiError::bad_request(only.clone())),
        (_, all) => Err(ApiError::bad_request(format!("invalid network config:\n{}", all.join("\n")))),
    }
}

impl WirePool {
    /// The pool as far as its texts can be read, none without its subnet, and the texts that cannot.
    fn pool(self) -> (Option<Pool>, Vec<String>) {
        let mut faults = Vec::new();
        let subnet = taken(filled("Subnet", &self.subnet), &mut faults);
        let range = taken(filled("IPRange", &self.ip_range), &mut faults).flatten();
        let gateway = taken(filled("Gateway", &self.gateway), &mut faults).flatten();
        let mut auxiliary = BTreeMap::new();
        for (name, text) in self.auxiliary_addresses.into_iter().flatten() {
            let address: Option<IpAddr> = taken(parse("AuxiliaryAddresses", &text), &mut faults);
            auxiliary.extend(address.map(|address| (name, address)));
        }
        let pool = subnet.map(|subnet| Pool { subnet, range, gateway, auxiliary });
        (pool, faults)
    }
}

fn taken<T>(read: Result<T, String>, faults: &mut Vec<String>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn filled<T: FromStr>(field: &str, text: &str) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

fn parse<T: FromStr>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("invalid JSON: IPAM.Config.{field}: {text:?}"))
}
