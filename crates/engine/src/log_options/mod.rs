//! Log drivers and their options: what is refused before anything starts. A file a driver with options of its own.

mod attributes;
mod fluentd;
mod gelf;
mod journald;
mod json_file;
mod local;
mod mode;
mod options;
mod server;
mod syslog;

use model::{LogConfig, LogDriver};

pub(crate) use attributes::{attributes, selected};
pub(crate) use server::resolve;

use options::Options;

/// Checks a driver and its options, in the reference's words where it has some; gives the driver.
pub(crate) fn check(config: &LogConfig) -> Result<LogDriver, String> {
    let driver = config.driver.clone().unwrap_or(LogDriver::Unregistered(String::new()));
    let options = Options::of(config);
    options.refuse_unknown(&driver)?;
    attributes::check(config)?;
    if !matches!(driver, LogDriver::None | LogDriver::Unregistered(_)) {
        mode::check(config, &driver)?;
    }
    match &driver {
        LogDriver::JsonFile => json_file::check(&options)?,
        LogDriver::Local => local::check(&options)?,
        LogDriver::Syslog => syslog::check(&options)?,
        LogDriver::Journald => journald::check()?,
        LogDriver::Gelf => gelf::check(&options)?,
        LogDriver::Fluentd => fluentd::check(&options)?,
        LogDriver::None => {}
        LogDriver::Unregistered(name) => {
            return Err(format!(
                "Failed to get logging factory: logger: no log driver named '{name}' is registered"
            ));
        }
    }
    Ok(driver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        LogConfig { driver: Some(driver.to_owned().into()), options }
    }

    #[test]
    fn bad_options_are_refused() {
        let address = ("syslog-address", "udp://127.0.0.1:1");
        for (driver, options) in [
            ("bogus", &[][..]),
            ("json-file", &[("bogus", "1")]),
            ("json-file", &[("max-size", "abc")]),
            ("json-file", &[("max-size", "0")]),
            ("json-file", &[("max-file", "0")]),
            ("json-file", &[("max-file", "x")]),
            ("local", &[("max-size", "abc")]),
            ("json-file", &[("max-size", "1m"), ("compress", "true")]),
            ("json-file", &[("max-file", "2"), ("compress", "true")]),
            ("local", &[("compress", "x")]),
            ("gelf", &[]),
            ("gelf", &[("gelf-address", "foo")]),
            ("gelf", &[("gelf-address", "udp://h:x")]),
            ("gelf", &[("gelf-address", "udp://h"), ("gelf-compression-level", "10")]),
            ("gelf", &[("gelf-address", "udp://h"), ("gelf-compression-type", "zip")]),
            ("syslog", &[("syslog-address", "http://x")]),
            ("syslog", &[("syslog-address", "unix://relative")]),
            ("syslog", &[("syslog-address", "udp://:514")]),
            ("syslog", &[address, ("syslog-facility", "nope")]),
            ("syslog", &[address, ("syslog-format", "rfc1")]),
            ("syslog", &[address, ("labels", "a")]),
            ("json-file", &[("env-regex", "(")]),
            ("fluentd", &[("fluentd-address", "tls://h:1")]),
            ("fluentd", &[("fluentd-address", "h:x")]),
            ("fluentd", &[("fluentd-address", "unix://relative")]),
            ("fluentd", &[("fluentd-async", "maybe")]),
            ("fluentd", &[("fluentd-retry-wait", "1")]),
            ("fluentd", &[("fluentd-max-retries", "-1")]),
            ("fluentd", &[("fluentd-buffer-limit", "many")]),
            ("json-file", &[("mode", "sometimes")]),
            ("json-file", &[("max-buffer-size", "1m")]),
            ("fluentd", &[("mode", "non-blocking"), ("max-buffer-size", "much")]),
            ("fluentd", &[("mode", "blocking")]),
            ("fluentd", &[("cache-disabled", "false")]),
        ] {
            assert!(check(&config(driver, options)).is_err(), "{driver} {options:?}");
        }
        for (driver, options) in [
            ("json-file", &[("max-size", "10k"), ("max-file", "3"), ("labels", "a"), ("env", "b")][..]),
            ("local", &[("max-size", "10k"), ("max-file", "3"), ("compress", "false"), ("labels", "a")]),
            ("local", &[("compress", "true")]),
            ("json-file", &[("max-size", "1m"), ("max-file", "2"), ("compress", "1")]),
            ("fluentd", &[]),
            (
                "fluentd",
                &[("fluentd-address", "h"), ("fluentd-async", "True"), ("fluentd-retry-wait", "1m0.5s")],
            ),
            ("fluentd", &[("fluentd-address", "unix:///run/f.sock"), ("labels-regex", "^a"), ("tag", "x")]),
            ("none", &[("a", "b")]),
            ("fluentd", &[("mode", "non-blocking"), ("max-buffer-size", "4m"), ("cache-disabled", "true")]),
            ("json-file", &[("mode", "blocking")]),
            ("syslog", &[address, ("labels", "a"), ("syslog-format", "rfc5424micro")]),
            ("gelf", &[("gelf-address", "udp://logs.example.com"), ("gelf-compression-level", "9")]),
        ] {
            assert_eq!(check(&config(driver, options)), Ok(driver.to_owned().into()), "{driver} {options:?}");
        }
    }
}
