//! `POST /containers/create`

use engine::{Limits, NewContainer};
use http::StatusCode;
use model::{ContainerReference, ContainerSettings, Digest, MountKind, PortBinding, Spelled};

use crate::container_settings::from_wire;
use crate::images::{failure, platform};
use crate::version::ApiVersion;
use crate::wire::CreateAnswer;
use crate::{ApiError, Call, Handled, Reply};

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let mut settings = from_wire(call.version, &body)?;
    if call.version.create_checks_the_log() {
        call.engine.containers.check_log(&settings.host.log)?;
    }
    if call.version.refusals_have_words_of_today() {
        check_joined(&call, &settings)?;
    }
    let image = image_for_platform(&call, &settings.image)?;
    if !call.version.containers_have_annotations() {
        settings.host.annotations = None;
    }
    let more = warnings(&settings, call.version);
    if !call.version.config_has_a_mac_address() {
        settings.mac_address = Spelled::default();
    }
    if call.version.empty_bindings_are_dropped()
        && let Some(ports) = &mut settings.host.port_bindings
    {
        ports.retain(|_, places| !is_empty(places.as_ref()));
    }
    let name = call.query.filled("name").map(str::to_owned);
    let new = NewContainer { name, settings, image, ..NewContainer::default() };
    let mut created = call.engine.containers.create(new).await?;
    created.warnings.extend(more);
    let is_list = call.version.create_has_empty_warnings() || !created.warnings.is_empty();
    let warnings = is_list.then_some(created.warnings);
    Reply::json(StatusCode::CREATED, &CreateAnswer { id: created.id.to_string(), warnings })
}

/// Containers whose namespaces are to be joined must be there, but that of the network, which may come later.
fn check_joined(call: &Call<'_>, settings: &ContainerSettings) -> Result<(), ApiError> {
    let host = &settings.host;
    let joined = [host.ipc_mode.joined(), host.pid_mode.joined()].into_iter().flatten();
    for other in joined.map(ContainerReference::as_str).filter(|other| !other.is_empty()) {
        if call.engine.containers.find(other).is_err() {
            return Err(ApiError::bad_request(format!("No such container: {other}")));
        }
    }
    Ok(())
}

/// The image of a name for the platform that the query names. One that is not there, create itself refuses.
fn image_for_platform(call: &Call<'_>, name: &str) -> Result<Option<Digest>, ApiError> {
    let wanted = if call.version.create_has_a_platform() { platform::asked_in_words(call)? } else { None };
    if wanted.is_none() {
        return Ok(None);
    }
    match call.engine.images.store().resolve_for(name, wanted.as_ref()) {
        Ok(image) => Ok(Some(image.id)),
        Err(error @ engine::images::Error::NoPlatform { .. }) => Err(failure(error)),
        Err(_) => Ok(None),
    }
}

/// What settings ask for beside others that leave it without effect.
fn warnings(settings: &ContainerSettings, version: ApiVersion) -> Vec<String> {
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
        warnings.push(
            "MacAddress of a container has no effect since API 1.52: give it to an endpoint in NetworkingConfig.EndpointsConfig".to_owned(),
        );
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
