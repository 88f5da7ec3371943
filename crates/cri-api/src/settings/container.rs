//! A container in a pod.

use std::collections::BTreeMap;

use model::{
    ContainerSettings, DeviceDriver, DeviceRequest, DriverDeviceRequest, HostSettings, LogConfig, LogDriver,
    Spelled, StopSignal,
};
use tonic::Status;

use super::mounts::of_mounts;
use super::oom_score;
use super::refusal::{choice, unsupported};
use super::resources::of_resources;
use super::security::{self, Pod};
use crate::signals;
use crate::status::invalid;
use crate::wire::container::ContainerConfig;
use crate::wire::signal::Signal as Name;

/// The settings of a container in a pod.
pub(crate) fn of_container(config: &ContainerConfig, pod: &Pod<'_>) -> Result<ContainerSettings, Status> {
    if config.metadata.is_none() {
        return Err(invalid("the container has no metadata"));
    }
    let linux = config.linux.clone().unwrap_or_default();
    let context = linux.security_context.unwrap_or_default();
    let resources = linux.resources.unwrap_or_default();
    let mut host = HostSettings {
        mounts: Some(of_mounts(&config.mounts, pod.user_namespace)?),
        devices: Some(devices(config)?),
        device_requests: described_devices(config),
        resources: of_resources(&resources)?,
        oom_score_adjustment: oom_score::within_rights(resources.oom_score_adj),
        cgroup_parent: pod.host.cgroup_parent.clone(),
        log: LogConfig { driver: Some(LogDriver::None), options: BTreeMap::new() },
        ..HostSettings::default()
    };
    security::apply(&context, pod, &mut host)?;
    let words = |words: &Vec<String>| Some(words.clone()).filter(|words| !words.is_empty());
    let image = config.image.as_ref().map(|image| image.image.clone()).unwrap_or_default();
    if image.is_empty() {
        return Err(invalid("the container names no image"));
    }
    let stop_signal = Name::try_from(config.stop_signal)
        .map_err(|_| invalid(format!("stop_signal: {} is no signal of the interface", config.stop_signal)))?;
    Ok(ContainerSettings {
        image,
        user: security::user(&context)?,
        entrypoint: words(&config.command),
        command: words(&config.args),
        environment: Some(environment(config)?),
        working_directory: config.working_dir.clone(),
        labels: Some(config.labels.clone()),
        terminal: config.tty,
        open_stdin: config.stdin,
        stdin_once: config.stdin_once,
        stop_signal: signals::asked(stop_signal).map(|signal| Spelled::from(StopSignal::Signal(signal))),
        host,
        ..ContainerSettings::default()
    })
}

fn environment(config: &ContainerConfig) -> Result<Vec<String>, Status> {
    let variable = |key: &String, value: &Vec<u8>| match std::str::from_utf8(value) {
        Ok(value) => Ok(format!("{key}={value}")),
        Err(_) => Err(unsupported(&format!("the variable {key}, whose value is not UTF-8"))),
    };
    config.envs.iter().map(|pair| variable(&pair.key, &pair.value)).collect()
}

/// Devices that files on the host describe (CDI), by their names there.
fn described_devices(config: &ContainerConfig) -> Option<Vec<DriverDeviceRequest>> {
    let names: Vec<String> = config.cdi_devices.iter().map(|device| device.name.clone()).collect();
    let request = DriverDeviceRequest {
        driver: DeviceDriver::Cdi,
        count: 0,
        device_ids: names,
        capabilities: Vec::new(),
        options: BTreeMap::new(),
    };
    (!request.device_ids.is_empty()).then(|| vec![request])
}

fn devices(config: &ContainerConfig) -> Result<Vec<DeviceRequest>, Status> {
    let device = |device: &crate::wire::container::Device| {
        Ok(DeviceRequest {
            path_on_host: device.host_path.clone(),
            path_in_container: device.container_path.clone(),
            permissions: choice("permissions of a device", &device.permissions)?,
        })
    };
    config.devices.iter().map(device).collect()
}
