//! An image document's config as a container's settings, and back.

use model::{ContainerSettings, ExposedPorts, ShownSettings, SignalError, Spelled, StopSignal};

use super::{Config, EmptyObject, HealthCheck, StringOrList};

impl Config {
    /// The settings of a container that come from its image alone.
    ///
    /// # Errors
    /// When the stop signal is unknown.
    pub fn into_settings(self) -> Result<ContainerSettings, SignalError> {
        let settings = self.into_defaults();
        match settings.stop_signal.as_deref() {
            Some(StopSignal::Unknown(text)) => Err(SignalError(text.clone())),
            Some(StopSignal::Signal(_)) | None => Ok(settings),
        }
    }

    /// The settings as an image brings them, whatever its stop signal.
    #[must_use]
    pub fn into_defaults(self) -> ContainerSettings {
        let words = |words: Option<StringOrList>| words.map(|words| words.0);
        ContainerSettings {
            image: self.image,
            hostname: self.hostname,
            domainname: self.domainname,
            user: self.user,
            entrypoint: words(self.entrypoint),
            command: words(self.cmd),
            environment: self.env,
            working_directory: self.working_dir,
            labels: self.labels,
            volumes: self.volumes.map(|volumes| volumes.into_keys().collect()),
            volume_driver: self.volume_driver.into(),
            exposed_ports: self
                .exposed_ports
                .map(|ports| ports.keys().map(|key| Spelled::<ExposedPorts>::of(key)).collect()),
            network_disabled: self.network_disabled,
            mac_address: Spelled::of(&self.mac_address),
            terminal: self.tty,
            open_stdin: self.open_stdin,
            stdin_once: self.stdin_once,
            stop_signal: Some(self.stop_signal)
                .filter(|text| !text.is_empty())
                .map(|text| Spelled::of(&text)),
            stop_timeout: self.stop_timeout,
            health_check: self.healthcheck.map(Into::into),
            shell: self.shell,
            on_build: self.on_build,
            shown: ShownSettings {
                attach_stdin: self.attach_stdin,
                attach_stdout: self.attach_stdout,
                attach_stderr: self.attach_stderr,
            },
            ..ContainerSettings::default()
        }
    }

    /// The part of a container's settings that an image document has.
    #[must_use]
    pub fn of(settings: &ContainerSettings) -> Self {
        let words = |words: &Option<Vec<String>>| words.clone().map(StringOrList);
        Self {
            hostname: settings.hostname.clone(),
            domainname: settings.domainname.clone(),
            user: settings.user.clone(),
            attach_stdin: settings.shown.attach_stdin,
            attach_stdout: settings.shown.attach_stdout,
            attach_stderr: settings.shown.attach_stderr,
            exposed_ports: settings.exposed_ports.as_ref().map(EmptyObject::set),
            tty: settings.terminal,
            open_stdin: settings.open_stdin,
            stdin_once: settings.stdin_once,
            env: settings.environment.clone(),
            cmd: words(&settings.command),
            args_escaped: false,
            image: settings.image.clone(),
            volumes: settings.volumes.as_ref().map(EmptyObject::set),
            volume_driver: settings.volume_driver.to_string(),
            working_dir: settings.working_directory.clone(),
            entrypoint: words(&settings.entrypoint),
            network_disabled: settings.network_disabled,
            mac_address: settings.mac_address.to_string(),
            on_build: settings.on_build.clone(),
            labels: settings.labels.clone(),
            stop_signal: settings.stop_signal.as_ref().map(ToString::to_string).unwrap_or_default(),
            stop_timeout: settings.stop_timeout,
            healthcheck: settings.health_check.clone().map(Into::into),
            shell: settings.shell.clone(),
        }
    }
}

impl From<HealthCheck> for model::HealthCheck {
    fn from(check: HealthCheck) -> Self {
        let HealthCheck { test, interval, timeout, start_period, start_interval, retries } = check;
        Self { test: test.into(), interval, timeout, start_period, start_interval, retries }
    }
}

impl From<model::HealthCheck> for HealthCheck {
    fn from(check: model::HealthCheck) -> Self {
        let model::HealthCheck { test, interval, timeout, start_period, start_interval, retries } = check;
        Self { test: test.into(), interval, timeout, start_period, start_interval, retries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_comes_back_as_it_was() {
        for text in [
            "{}",
            r#"{"Cmd":"a","Entrypoint":[],"Env":["A=1"],"Labels":{"k":"v"},"Tty":true,"AttachStdout":true}"#,
            r#"{"ExposedPorts":{"80":{},"8000-8002/TCP":{},"x":{}},"Volumes":{"/v":{}},"StopSignal":"10"}"#,
            r#"{"Healthcheck":{"Test":["CMD","x"],"StartInterval":5000000,"Retries":3},"Shell":["sh"],"StopTimeout":7,"OnBuild":[]}"#,
            r#"{"ExposedPorts":{},"Volumes":{},"MacAddress":"foo","NetworkDisabled":true,"VolumeDriver":"l"}"#,
        ] {
            let config: Config = serde_json::from_str(text).expect(text);
            assert_eq!(Config::of(&config.clone().into_settings().expect(text)), config, "{text}");
        }
    }

    #[test]
    fn a_stop_signal_that_is_none_is_refused_of_a_client_and_shown_of_an_image() {
        let config = Config { stop_signal: "SIGNOPE".to_owned(), ..Config::default() };
        assert!(config.clone().into_settings().is_err());
        let defaults = config.clone().into_defaults();
        assert_eq!(defaults.stop_signal.as_ref().map(|signal| signal.signal()), Some(model::Signal::TERM));
        assert_eq!(Config::of(&defaults), config);
    }
}
