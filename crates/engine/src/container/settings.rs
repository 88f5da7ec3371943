//! Checks a container's settings as far as that needs nothing but the settings, and merges the image's.

use std::collections::BTreeMap;

use model::{Config, HostConfig, StringOrList};

use crate::error::Error;

/// Takes over from the image what the client left open.
pub(crate) fn merge_image(config: &mut Config, image: &Config) {
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    merge_set(&mut config.exposed_ports, image.exposed_ports.as_ref());
    merge_set(&mut config.volumes, image.volumes.as_ref());
    merge_set(&mut config.labels, image.labels.as_ref());
    merge_environment(config, image.env.as_deref().unwrap_or_default());
    let is_empty = |words: &Option<StringOrList>| words.as_ref().is_none_or(|words| words.0.is_empty());
    if is_empty(&config.entrypoint) {
        if is_empty(&config.cmd) {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&image.stop_signal);
    }
    if config.healthcheck.is_none() {
        config.healthcheck.clone_from(&image.healthcheck);
    }
    if config.shell.is_none() {
        config.shell.clone_from(&image.shell);
    }
}

fn merge_set<V: Clone>(own: &mut Option<BTreeMap<String, V>>, image: Option<&BTreeMap<String, V>>) {
    for (key, value) in image.into_iter().flatten() {
        own.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn merge_environment(config: &mut Config, image: &[String]) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let own: Vec<String> = config.env.iter().flatten().map(|variable| name(variable)).collect();
    let inherited = image.iter().filter(|variable| !own.contains(&name(variable))).cloned();
    let inherited: Vec<String> = inherited.collect();
    if !inherited.is_empty() {
        config.env.get_or_insert_default().extend(inherited);
    }
}

/// The program and its arguments: entrypoint, then command.
///
/// # Errors
/// Refused when there is neither.
pub(crate) fn command(config: &Config) -> Result<(String, Vec<String>), Error> {
    let words = |words: &Option<StringOrList>| words.clone().unwrap_or(StringOrList(Vec::new())).0;
    let mut all = words(&config.entrypoint);
    all.extend(words(&config.cmd));
    if all.is_empty() {
        return Err(Error::refused("No command specified"));
    }
    let path = all.remove(0);
    Ok((path, all))
}

/// Checks everything of the settings that needs no other state.
///
/// # Errors
/// Refused, in the reference's words.
pub(crate) fn check(config: &Config, host: &HostConfig) -> Result<(), Error> {
    crate::container::words::check(config)?;
    if !config.stop_signal.is_empty() {
        model::Signal::parse(&config.stop_signal).map_err(|error| Error::refused(error.to_string()))?;
    }
    if let Some(seconds) = config.stop_timeout.filter(|seconds| *seconds < -1) {
        return Err(Error::refused(format!(
            "invalid stop timeout {seconds}: only -1 (wait for the end) may be below 0"
        )));
    }
    if config.healthcheck.as_ref().is_some_and(model::HealthCheck::is_asked_for) {
        return Err(Error::refused("Healthcheck is not supported: API 1.20 has no health of containers"));
    }
    if !config.publish_service.is_empty() {
        return Err(Error::refused("PublishService is not supported: it was an experiment of its time"));
    }
    check_host(host)
}

/// Checks a `HostConfig` by itself.
///
/// # Errors
/// Refused, in the reference's words.
pub(crate) fn check_host(host: &HostConfig) -> Result<(), Error> {
    if host.lxc_conf.as_ref().is_some_and(|conf| !conf.0.is_empty()) {
        return Err(Error::refused("Cannot use --lxc-conf with execdriver: native-0.2"));
    }
    crate::container::resources::check(host)?;
    check_policy(host)?;
    crate::container::specification::capability_names(host)?;
    crate::container::devices::check(host)?;
    crate::container::tmpfs::mounts(host)?;
    crate::container::words::check_host(host)?;
    check_sysctls(host)?;
    if host.storage_opt.as_ref().is_some_and(|options| !options.is_empty()) {
        return Err(Error::refused("--storage-opt is not supported: the overlay driver has no size limits"));
    }
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return Err(Error::refused(format!("invalid user namespace mode: {}", host.userns_mode)));
    }
    if !matches!(host.cgroupns_mode.as_str(), "" | "host" | "private") {
        return Err(Error::refused(format!("invalid cgroup namespace mode: {}", host.cgroupns_mode)));
    }
    if !matches!(host.runtime.as_str(), "" | "berth") {
        return Err(Error::refused(format!("Unknown runtime specified {}", host.runtime)));
    }
    Ok(())
}

/// Refuses settings that would change the host.
fn check_sysctls(host: &HostConfig) -> Result<(), Error> {
    let is_own = |scope| {
        let mode = match scope {
            model::SysctlScope::Network => &host.network_mode,
            model::SysctlScope::Ipc => &host.ipc_mode,
            model::SysctlScope::Uts => &host.uts_mode,
        };
        mode != "host"
    };
    let Some(settings) = &host.sysctls else { return Ok(()) };
    model::check_sysctls(settings, is_own).map_err(|error| Error::refused(error.to_string()))
}

fn check_policy(host: &HostConfig) -> Result<(), Error> {
    let policy = &host.restart_policy;
    match policy.name.as_str() {
        "" | "no" | "always" | "unless-stopped" | "on-failure" => {}
        other => return Err(Error::refused(format!("invalid restart policy {other}"))),
    }
    if policy.maximum_retry_count < 0 {
        return Err(Error::refused("maximum retry count cannot be negative"));
    }
    if host.auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return Err(Error::refused("can't create 'AutoRemove' container with restart policy"));
    }
    Ok(())
}

/// Shows `NetworkMode` and the rest as the reference normalises them.
pub(crate) fn normalise(host: &mut HostConfig, default_log: &model::LogConfig) {
    if host.network_mode.is_empty() {
        "default".clone_into(&mut host.network_mode);
    }
    adopt_default_log(&mut host.log_config, default_log);
}

/// A container that names no log driver gets the daemon's with its options; one that names the same
/// driver gets the options that it does not set itself.
fn adopt_default_log(log: &mut model::LogConfig, default: &model::LogConfig) {
    if log.driver.is_empty() {
        log.driver.clone_from(&default.driver);
    }
    if log.driver == default.driver {
        for (name, value) in &default.config {
            log.config.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Option<StringOrList> {
        Some(StringOrList(list.iter().map(|word| (*word).to_owned()).collect()))
    }

    #[test]
    fn the_images_command_is_dropped_with_an_own_entrypoint() {
        let image = Config { cmd: words(&["serve"]), entrypoint: words(&["/init"]), ..Config::default() };
        let mut plain = Config::default();
        merge_image(&mut plain, &image);
        assert_eq!(command(&plain).expect("a command"), ("/init".to_owned(), vec!["serve".to_owned()]));
        let mut own = Config { entrypoint: words(&["/bin/sh"]), ..Config::default() };
        merge_image(&mut own, &image);
        assert_eq!(command(&own).expect("a command"), ("/bin/sh".to_owned(), vec![]));
        let mut emptied = Config { entrypoint: words(&[]), cmd: words(&["ls"]), ..Config::default() };
        merge_image(&mut emptied, &image);
        assert_eq!(command(&emptied).expect("a command").0, "ls");
    }

    #[test]
    fn own_variables_hide_the_images() {
        let image = Config { env: Some(vec!["A=1".into(), "B=2".into()]), ..Config::default() };
        let mut config = Config { env: Some(vec!["B=3".into()]), ..Config::default() };
        merge_image(&mut config, &image);
        assert_eq!(config.env.expect("variables"), ["B=3", "A=1"]);
    }
}
