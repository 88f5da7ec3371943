//! Checks a container's settings as far as that needs nothing but the settings, and merges the image's.

use std::collections::BTreeSet;

use images::document::Config;
use model::{
    ContainerSettings, HostSettings, IpcMode, LogConfig, NetworkMode, RestartPolicy, SysctlScope, UtsMode,
};

use crate::container::security::SecurityOptions;
use crate::error::Error;

/// Takes over from the image what the client left open.
pub(crate) fn merge_image(settings: &mut ContainerSettings, image: Config) {
    let image = image.into_defaults();
    if settings.user.is_empty() {
        settings.user = image.user;
    }
    merge_set(&mut settings.exposed_ports, image.exposed_ports);
    merge_set(&mut settings.volumes, image.volumes);
    for (name, value) in image.labels.into_iter().flatten() {
        settings.labels.get_or_insert_default().entry(name).or_insert(value);
    }
    merge_environment(&mut settings.environment, image.environment.unwrap_or_default());
    let is_empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    if is_empty(&settings.entrypoint) {
        if is_empty(&settings.command) {
            settings.command = image.command;
        }
        settings.entrypoint = settings.entrypoint.take().or(image.entrypoint);
    }
    // One empty word empties the image's entrypoint, and with it the image's command.
    if settings.entrypoint.as_ref().is_some_and(|words| *words == [""]) {
        settings.entrypoint = None;
    }
    if settings.working_directory.is_empty() {
        settings.working_directory = image.working_directory;
    }
    settings.stop_signal = settings.stop_signal.take().or(image.stop_signal);
    settings.health_check = match (settings.health_check.take(), image.health_check) {
        (Some(mut own), Some(image)) => {
            own.inherit(image);
            Some(own)
        }
        (own, image) => own.or(image),
    };
    settings.shell = settings.shell.take().or(image.shell);
}

fn merge_set<T: Ord>(own: &mut Option<BTreeSet<T>>, image: Option<BTreeSet<T>>) {
    for element in image.into_iter().flatten() {
        own.get_or_insert_default().insert(element);
    }
}

fn merge_environment(own: &mut Option<Vec<String>>, image: Vec<String>) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let known: Vec<String> = own.iter().flatten().map(|variable| name(variable)).collect();
    let inherited: Vec<String> =
        image.into_iter().filter(|variable| !known.contains(&name(variable))).collect();
    if !inherited.is_empty() {
        own.get_or_insert_default().extend(inherited);
    }
}

/// The program and its arguments: entrypoint, then command.
///
/// # Errors
/// Refused when there is neither.
pub(crate) fn command(settings: &ContainerSettings) -> Result<(String, Vec<String>), Error> {
    let words = [&settings.entrypoint, &settings.command].into_iter().flatten().flatten();
    let mut all: Vec<String> = words.cloned().collect();
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
pub(crate) fn check(settings: &ContainerSettings) -> Result<(), Error> {
    crate::container::words::check(settings)?;
    if let Some(seconds) = settings.stop_timeout.filter(|seconds| *seconds < -1) {
        return Err(Error::refused(format!(
            "invalid stop timeout {seconds}: only -1 (wait for the end) may be below 0"
        )));
    }
    if let Some(check) = &settings.health_check {
        check.check().map_err(|error| Error::refused(error.to_string()))?;
    }
    check_host(&settings.host)
}

/// Checks the settings of the host by themselves.
///
/// # Errors
/// Refused, in the reference's words.
pub(crate) fn check_host(host: &HostSettings) -> Result<(), Error> {
    crate::container::resources::check(host)?;
    SecurityOptions::of(host)?;
    if host.auto_remove && host.restart_policy.policy() != RestartPolicy::No {
        return Err(Error::refused("can't create 'AutoRemove' container with restart policy"));
    }
    if host.annotations.as_ref().is_some_and(|annotations| annotations.contains_key("")) {
        return Err(Error::refused(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    crate::container::devices::check(host)?;
    crate::container::storage::size(host)?;
    crate::container::tmpfs::mounts(host)?;
    crate::container::words::check_host(host)?;
    check_sysctls(host)
}

/// Refuses settings that would change the host.
fn check_sysctls(host: &HostSettings) -> Result<(), Error> {
    let is_own = |scope| match scope {
        SysctlScope::Network => host.network_mode != NetworkMode::Host,
        SysctlScope::Ipc => host.ipc_mode != IpcMode::Host,
        SysctlScope::Uts => host.uts_mode != UtsMode::Host,
    };
    let Some(settings) = &host.sysctls else { return Ok(()) };
    model::check_sysctls(settings, is_own).map_err(|error| Error::refused(error.to_string()))
}

/// A container that names no log driver gets the daemon's with its options; one that names the same
/// driver gets the options that it does not set itself.
pub(crate) fn adopt_default_log(log: &mut LogConfig, default: &LogConfig) {
    if log.driver.is_none() {
        log.driver.clone_from(&default.driver);
    }
    if log.driver == default.driver {
        for (name, value) in &default.options {
            log.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::container::specification::put_variable;

    fn words(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|word| (*word).to_owned()).collect())
    }

    fn image(cmd: &[&str], entrypoint: &[&str]) -> Config {
        let list = |list: &[&str]| words(list).map(images::document::StringOrList);
        Config { cmd: list(cmd), entrypoint: list(entrypoint), ..Config::default() }
    }

    #[test]
    fn the_images_command_is_dropped_with_an_own_entrypoint() {
        let merged = |mut settings: ContainerSettings| {
            merge_image(&mut settings, image(&["serve"], &["/init"]));
            command(&settings).expect("a command")
        };
        let plain = merged(ContainerSettings::default());
        assert_eq!(plain, ("/init".to_owned(), vec!["serve".to_owned()]));
        let own =
            merged(ContainerSettings { entrypoint: words(&["/bin/sh"]), ..ContainerSettings::default() });
        assert_eq!(own, ("/bin/sh".to_owned(), vec![]));
        let emptied = merged(ContainerSettings {
            entrypoint: words(&[]),
            command: words(&["ls"]),
            ..ContainerSettings::default()
        });
        assert_eq!(emptied.0, "ls");
        let blank = merged(ContainerSettings {
            entrypoint: words(&[""]),
            command: words(&["ls"]),
            ..ContainerSettings::default()
        });
        assert_eq!(blank, ("ls".to_owned(), vec![]));
        let mut alone = ContainerSettings { entrypoint: words(&[""]), ..ContainerSettings::default() };
        merge_image(&mut alone, image(&["serve"], &["/init"]));
        assert_eq!(command(&alone).expect_err("none").to_string(), "No command specified");
        let mut inherited = ContainerSettings::default();
        merge_image(&mut inherited, image(&["serve"], &[""]));
        assert_eq!(command(&inherited).expect("a command"), ("serve".to_owned(), vec![]));
    }

    #[test]
    fn own_variables_hide_the_images() {
        let image = Config { env: words(&["A=1", "B=2"]), ..Config::default() };
        let mut settings = ContainerSettings { environment: words(&["B=3"]), ..ContainerSettings::default() };
        merge_image(&mut settings, image);
        assert_eq!(settings.environment, words(&["B=3", "A=1"]));
    }

    proptest! {
        #[test]
        fn variables_of_the_image_and_its_own(
            own in proptest::option::of(vec("[ABC](=[a-z=]{0,3})?", 0..5)),
            image in vec("[ABCD]=[a-z=]{0,3}", 0..5),
        ) {
            let config = Config { env: Some(image.clone()), ..Config::default() };
            let mut settings = ContainerSettings { environment: own.clone(), ..ContainerSettings::default() };
            merge_image(&mut settings, config);
            let merged = settings.environment.clone().unwrap_or_default();
            let given = own.unwrap_or_default();
            prop_assert_eq!(&merged[..given.len()], given.as_slice(), "its own stay as they were given");
            let name = |variable: &String| variable.split('=').next().expect("a name").to_owned();
            for variable in &image {
                let is_overridden = given.iter().any(|other| name(other) == name(variable));
                prop_assert_eq!(merged[given.len()..].contains(variable), !is_overridden, "{}", variable);
            }
            // The process's environment: the last value of each name, without those that a name alone
            // removed.
            let mut variables = Vec::new();
            merged.iter().for_each(|variable| put_variable(&mut variables, variable));
            for variable in &variables {
                let last = merged.iter().rfind(|other| name(other) == name(variable));
                prop_assert_eq!(last, Some(variable));
                prop_assert_eq!(variables.iter().filter(|other| name(other) == name(variable)).count(), 1);
            }
            for variable in merged.iter().filter(|variable| !variable.contains('=')) {
                let last = merged.iter().rfind(|other| name(other) == name(variable)).expect("itself");
                prop_assert_eq!(last.contains('='), variables.iter().any(|other| name(other) == name(variable)));
            }
        }
    }
}
