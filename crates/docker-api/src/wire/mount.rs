//! The mounts of a container, as inspect and lists show them.

use engine::Record;
use model::{MountKind, MountPoint, MountRequest, Propagation, clean};
use serde::Serialize;

use crate::version::{ApiVersion, Ranged, Since};

/// One entry of `Mounts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireMountPoint<'a> {
    #[serde(rename = "Type", skip_serializing_if = "Ranged::is_absent")]
    kind: Since<25, &'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    source: &'a str,
    destination: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    driver: &'a str,
    mode: String,
    #[serde(rename = "RW")]
    rw: bool,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    propagation: Since<22, &'static str>,
}

/// All mounts of a container. Memory and images that `HostConfig.Mounts` names are among them since mounts have types.
pub(super) fn mounts(record: &Record, version: ApiVersion) -> Vec<WireMountPoint<'_>> {
    let requests = record.settings.host.mounts.as_deref().unwrap_or_default();
    let mut all: Vec<WireMountPoint<'_>> =
        record.mounts.iter().map(|mount| WireMountPoint::new(mount, requests, version)).collect();
    if version.mounts_have_types() {
        all.extend(requests.iter().filter_map(|request| WireMountPoint::beside(request, version)));
    }
    all
}

impl<'a> WireMountPoint<'a> {
    /// A bind or a volume.
    fn new(mount: &'a MountPoint, requests: &[MountRequest], version: ApiVersion) -> Self {
        let is_bind = mount.is_bind();
        let volume = mount.volume();
        let is_typed = version.mounts_have_types()
            && requests.iter().any(|request| clean(&request.target) == clean(&mount.destination));
        Self {
            kind: Ranged::at(version, || if is_bind { "bind" } else { "volume" }),
            name: volume.map_or("", |volume| &volume.name),
            source: &mount.source,
            destination: mount.destination.clone(),
            driver: volume.map_or("", |volume| volume.driver.name()),
            // A mount of `HostConfig.Mounts` has no mode; that of volumes is the default one.
            mode: match (is_typed, is_bind) {
                (true, true) => String::new(),
                (true, false) => "z".to_owned(),
                (false, _) => mount.mode.to_string(),
            },
            rw: mount.writable,
            propagation: Ranged::at(version, || match (is_bind, mount.mode.propagation) {
                (_, Some(propagation)) => propagation.word(),
                (true, None) => Propagation::default().word(),
                (false, None) => "",
            }),
        }
    }

    /// Mounts of other kinds.
    fn beside(request: &'a MountRequest, version: ApiVersion) -> Option<Self> {
        let (kind, name, rw, propagation) = match &request.kind {
            MountKind::Bind { .. } | MountKind::Volume { .. } => return None,
            MountKind::Tmpfs { .. } => ("tmpfs", "", !request.read_only, ""),
            MountKind::Image { image, .. } => ("image", image.as_str(), false, Propagation::default().word()),
        };
        Some(Self {
            kind: Ranged::at(version, || kind),
            name,
            source: "",
            destination: clean(&request.target).display().to_string(),
            driver: "",
            mode: String::new(),
            rw,
            propagation: Ranged::at(version, || propagation),
        })
    }
}
