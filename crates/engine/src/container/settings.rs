//! Checks a container's settings as far as that needs nothing but the settings, and merges the image's.

use std::collections::BTreeMap;

use model::{Config, HostConfig, StringOrList};

use crate::error::Error;

/// Bytes: the least memory limit the reference takes.
const MINIMUM_MEMORY: i64 = 4 * 1024 * 1024;

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
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::refused(format!(
            "The working directory '{}' is invalid. It needs to be an absolute path.",
            config.working_dir
        )));
    }
    if !config.stop_signal.is_empty() {
        model::Signal::parse(&config.stop_signal).map_err(|error| Error::refused(error.to_string()))?;
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
    check_memory(host)?;
    if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        return Err(Error::refused("Range of blkio weight is from 10 to 1000."));
    }
    check_processor(host)?;
    check_policy(host)?;
    if host.storage_opt.as_ref().is_some_and(|options| !options.is_empty()) {
        return Err(Error::refused("--storage-opt is not supported: the overlay driver has no size limits"));
    }
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return Err(Error::refused(format!("invalid user namespace mode: {}", host.userns_mode)));
    }
    if !matches!(host.runtime.as_str(), "" | "berth") {
        return Err(Error::refused(format!("Unknown runtime specified {}", host.runtime)));
    }
    Ok(())
}

fn check_memory(host: &HostConfig) -> Result<(), Error> {
    if host.memory != 0 && host.memory < MINIMUM_MEMORY {
        return Err(Error::refused("Minimum memory limit allowed is 4MB"));
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return Err(Error::refused(
            "Minimum memoryswap limit should be larger than memory limit, see usage.",
        ));
    }
    if host.memory == 0 && host.memory_swap > 0 {
        return Err(Error::refused(
            "You should always set the Memory limit when using Memoryswap limit, see usage.",
        ));
    }
    if let Some(swappiness) = host.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return Err(Error::refused(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100."
        )));
    }
    if host.memory_reservation != 0 && host.memory != 0 && host.memory_reservation > host.memory {
        return Err(Error::refused(
            "Minimum memory limit should be larger than memory reservation limit, see usage.",
        ));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::refused(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.shm_size < 0 {
        return Err(Error::refused("SHM size can not be less than 0"));
    }
    Ok(())
}

fn check_processor(host: &HostConfig) -> Result<(), Error> {
    if host.nano_cpus < 0 {
        return Err(Error::refused("NanoCPUs must not be negative"));
    }
    if host.nano_cpus > 0 && (host.cpu_period > 0 || host.cpu_quota > 0) {
        return Err(Error::refused(
            "Conflicting options: Nano CPUs and CPU period or quota cannot both be set.",
        ));
    }
    Ok(())
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
    Ok(())
}

/// Shows `NetworkMode` and the rest as the reference normalises them.
pub(crate) fn normalise(host: &mut HostConfig, default_log: &model::LogConfig) {
    if host.network_mode.is_empty() {
        "default".clone_into(&mut host.network_mode);
    }
    if host.log_config.driver.is_empty() {
        host.log_config = default_log.clone();
    }
    if host.memory_swappiness == Some(-1) {
        host.memory_swappiness = None;
    }
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
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

    #[test]
    fn memory_rules() {
        let host = |memory, memory_swap| HostConfig { memory, memory_swap, ..HostConfig::default() };
        for (memory, swap, good) in [
            (0, 0, true),
            (1, 0, false),
            (-1, 0, false),
            (8 << 20, 4 << 20, false),
            (0, 8 << 20, false),
            (8 << 20, -1, true),
        ] {
            assert_eq!(check_host(&host(memory, swap)).is_ok(), good, "{memory} {swap}");
        }
    }
}
