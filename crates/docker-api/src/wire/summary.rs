//! One container in a list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::Record;
use engine::images::registry::Descriptor;
use model::Timestamp;
use serde::Serialize;

use super::container::ImageManifest;
use super::endpoint::{Shown, WireEndpoint, endpoints, network_mode};
use super::health::HealthSummary;
use super::image_id::image_id;
use super::mount::{WireMountPoint, mounts};
use super::network::published;
use super::status::state_word;
use super::status_text;
use crate::version::{ApiVersion, Ranged, Since};

/// Shown for containers without labels.
static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// An entry of `GET /containers/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ContainerSummary<'a> {
    id: &'a str,
    names: Vec<String>,
    image: Cow<'a, str>,
    #[serde(rename = "ImageID", skip_serializing_if = "Ranged::is_absent")]
    image_id: Since<21, String>,
    #[serde(flatten)]
    image_manifest: Since<48, ImageManifest>,
    command: String,
    created: i64,
    ports: Vec<WirePort>,
    #[serde(skip_serializing_if = "is_zero")]
    size_rw: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size_root_fs: u64,
    labels: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    state: Since<23, &'static str>,
    status: String,
    host_config: ListedHostConfig<'a>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    health: Since<52, HealthSummary>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    network_settings: Since<22, Networks<'a>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    mounts: Since<23, Vec<WireMountPoint<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Networks<'a> {
    networks: BTreeMap<&'a str, WireEndpoint<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedHostConfig<'a> {
    network_mode: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

/// Properties of a container in a list that are not in its record.
#[derive(Debug)]
pub(crate) struct LookedUp<'a> {
    /// The name of its image now.
    pub(crate) image: Cow<'a, str>,
    /// The manifest of its image, where it is shown.
    pub(crate) manifest: Option<Descriptor>,
    /// The further names that links give it.
    pub(crate) aliases: Vec<String>,
    /// The bytes of its own layer and of all layers.
    pub(crate) sizes: (u64, u64),
}

/// A port of a container, published or only exposed.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WirePort {
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    ip: String,
    pub(crate) private_port: u16,
    #[serde(skip_serializing_if = "is_zero_port")]
    pub(crate) public_port: u16,
    #[serde(rename = "Type")]
    pub(crate) kind: String,
}

const fn is_zero(value: &u64) -> bool {
    *value == 0
}

const fn is_zero_port(value: &u16) -> bool {
    *value == 0
}

impl<'a> ContainerSummary<'a> {
    /// The entry as it is now, in a version.
    pub(crate) fn new(
        record: &'a Record,
        looked_up: LookedUp<'a>,
        now: Timestamp,
        version: ApiVersion,
    ) -> Self {
        let LookedUp { image, manifest, aliases, sizes } = looked_up;
        let mut names = vec![format!("/{}", record.name)];
        names.extend(aliases);
        Self {
            id: record.id.as_str(),
            names,
            image,
            image_id: Ranged::at(version, || image_id(&record.image, version)),
            image_manifest: Ranged::at(version, || ImageManifest { image_manifest_descriptor: manifest }),
            command: command(record),
            created: record.created.unix_seconds(),
            ports: shown_ports(record, version),
            size_rw: sizes.0,
            size_root_fs: sizes.1,
            labels: record
                .settings
                .labels
                .as_ref()
                .or(version.host_config_shows_what_holds().then_some(&NO_LABELS)),
            state: Ranged::at(version, || state_word(record, version)),
            status: status_text(record, now, version),
            host_config: ListedHostConfig {
                network_mode: network_mode(record, version),
                annotations: record.settings.host.annotations.as_ref().filter(|annotations| {
                    version.container_list_has_annotations() && !annotations.is_empty()
                }),
            },
            health: Ranged::at(version, || HealthSummary::of(record)),
            network_settings: Ranged::at(version, || Networks {
                networks: endpoints(record, Shown::Listed, version),
            }),
            mounts: Ranged::at(version, || mounts(record, version)),
        }
    }
}

/// Path and arguments; those with blanks in quotes.
fn command(record: &Record) -> String {
    let mut command = record.path.clone();
    for argument in &record.arguments {
        command.push(' ');
        if argument.contains(' ') {
            command.push_str(&format!("'{argument}'"));
        } else {
            command.push_str(argument);
        }
    }
    command
}

/// The ports of a container that runs: the published ones, then those that it only exposes.
pub(crate) fn shown_ports(record: &Record, version: ApiVersion) -> Vec<WirePort> {
    if !record.is_running() {
        return Vec::new();
    }
    let mut ports: Vec<WirePort> = published(record, version)
        .map(|port| WirePort {
            ip: port.host_ip.to_string(),
            private_port: port.container.number,
            public_port: port.host_port,
            kind: port.container.protocol.to_string(),
        })
        .collect();
    let exposed = record.settings.exposed_ports.iter().flatten().filter_map(|exposed| exposed.single());
    for port in exposed {
        let kind = port.protocol.to_string();
        if !ports.iter().any(|known| known.private_port == port.number && known.kind == kind) {
            ports.push(WirePort { ip: String::new(), private_port: port.number, public_port: 0, kind });
        }
    }
    ports
}
