//! Settings of a create that have no effect in the version of the call, or beside other settings.

use engine::Limits;
use model::{ContainerSettings, MountKind, PortBinding, Spelled, VolumeDriverChoice};

use crate::version::ApiVersion;

/// Removes settings that the version does not have, or ignores.
pub(super) fn drop_fields(settings: &mut ContainerSettings, version: ApiVersion) {
    if !version.containers_have_annotations() {
        settings.host.annotations = None;
    }
    if !version.config_has_a_mac_address() {
        settings.mac_address = Spelled::default();
    }
    if version.empty_bindings_are_dropped()
        && let Some(ports) = &mut settings.host.port_bindings
    {
        ports.retain(|_, places| !is_empty(places.as_ref()));
    }
}

/// Warnings for settings that have no effect beside others.
pub(super) fn warnings(settings: &ContainerSettings, version: ApiVersion) -> Vec<String> {
    let host = &settings.host;
    let ports = host.port_bindings.iter().flatten();
    let mut warnings = Vec::new();
    if host.network_mode.is_host() && ports.clone().next().is_some() && version.discarded_ports_are_reported()
    {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    let names_volumes = || {
        let mut mounts = host.mounts.iter().flatten();
        mounts.any(|mount| matches!(mount.kind, MountKind::Volume { .. }))
    };
    if version.create_warns_of_volume_drivers()
        && !host.volume_driver.to_string().is_empty()
        && names_volumes()
    {
        warnings.push(
            "VolumeDriver (--volume-driver) is not used for volumes of Mounts: name a driver in VolumeOptions".to_owned(),
        );
    }
    let drivers = [&settings.volume_driver, &host.volume_driver];
    if let Some(VolumeDriverChoice::Unregistered(name)) =
        drivers.into_iter().find(|driver| matches!(driver, VolumeDriverChoice::Unregistered(_)))
        && !settings.may_need_a_volume_driver()
    {
        warnings.push(format!(
            "VolumeDriver {name} is not looked up: the container has no volume that it could be for"
        ));
    }
    if version.create_warns_of_empty_bindings() {
        let then = if version.empty_bindings_are_dropped() {
            "it is not published"
        } else {
            "later versions do not publish it"
        };
        let unbound = ports.filter(|(_, places)| is_empty(places.as_ref()));
        warnings
            .extend(unbound.map(|(port, _)| format!("The list of bindings of port {port} is empty: {then}")));
    }
    if !version.config_has_a_mac_address() && settings.mac_address != Spelled::default() {
        warnings.push(format!(
            "MacAddress of a container has no effect in API {version}: give it to an endpoint in NetworkingConfig.EndpointsConfig"
        ));
    }
    let limits = &host.resources;
    if version.create_warns_of_endless_memory()
        && limits.oom_kill_disable
        && limits.memory == 0
        && Limits::of_host().oom_kill_disable
    {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set: it may take all of the host's".to_owned(),
        );
    }
    warnings
}

fn is_empty(places: Option<&Vec<PortBinding>>) -> bool {
    places.is_none_or(Vec::is_empty)
}
