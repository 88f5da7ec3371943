//! Log drivers and their options: which are known, and what is refused before anything starts.

mod attributes;
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use model::{LogConfig, LogDriver};
use shim_protocol::log::{parse_facility, parse_size};

pub(crate) use attributes::{attributes, selected};
pub(crate) use server::resolve;

/// Where a host's own syslog listens.
const LOCAL_SYSLOG: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The options that a driver knows; `None` for a driver that is not there.
fn known_options(driver: &LogDriver) -> Option<&'static [&'static str]> {
    match driver {
        LogDriver::JsonFile => Some(&["max-size", "max-file", "tag", "labels", "env"]),
        LogDriver::None => Some(&[]),
        LogDriver::Syslog => Some(&[
            "syslog-address",
            "syslog-facility",
            "syslog-format",
            "syslog-tag",
            "tag",
            "labels",
            "env",
        ]),
        LogDriver::Journald => Some(&["tag", "labels", "env"]),
        LogDriver::Gelf => Some(&[
            "gelf-address",
            "gelf-compression-type",
            "gelf-compression-level",
            "gelf-tag",
            "tag",
            "labels",
            "env",
        ]),
        LogDriver::Unregistered(_) => None,
    }
}

/// Checks a driver and its options, in the reference's words where it has some.
pub(crate) fn check(config: &LogConfig) -> Result<(), String> {
    let driver = config.driver.clone().unwrap_or(LogDriver::Unregistered(String::new()));
    let Some(known) = known_options(&driver) else {
        return Err(format!(
            "Failed to get logging factory: logger: no log driver named '{driver}' is registered"
        ));
    };
    let options = Options(&config.options);
    if driver != LogDriver::None {
        options.refuse_unknown(&driver, known)?;
    }
    match driver {
        LogDriver::JsonFile => options.check_rotation(),
        LogDriver::Syslog => options.check_syslog(),
        LogDriver::Gelf => options.check_gelf(),
        LogDriver::Journald if !Path::new(JOURNAL).exists() => {
            Err("journald is not enabled on this host".to_owned())
        }
        // It has no options, and takes those that were meant for another.
        LogDriver::None | LogDriver::Journald | LogDriver::Unregistered(_) => Ok(()),
    }
}

/// The options of one container's log.
struct Options<'c>(&'c BTreeMap<String, String>);

impl Options<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn refuse_unknown(&self, driver: &LogDriver, known: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => Err(format!("unknown log opt '{unknown}' for {driver} log driver")),
            None => Ok(()),
        }
    }

    fn check_rotation(&self) -> Result<(), String> {
        if let Some(size) = self.find("max-size")
            && parse_size(size).is_none()
        {
            return Err(format!("invalid size: '{size}'"));
        }
        match self.find("max-file").map(|files| (files, files.parse::<i64>())) {
            Some((_, Ok(files))) if files < 1 => Err("max-files cannot be less than 1.".to_owned()),
            Some((text, Err(_))) => Err(format!("max-file must be a number, not '{text}'")),
            Some((_, Ok(_))) | None => Ok(()),
        }
    }

    fn check_syslog(&self) -> Result<(), String> {
        if self.find("syslog-facility").is_some_and(|facility| parse_facility(facility).is_none()) {
            return Err("invalid syslog facility".to_owned());
        }
        let format = self.find("syslog-format").unwrap_or_default();
        if !matches!(format, "" | "rfc3164" | "rfc5424" | "rfc5424micro") {
            return Err(format!(
                "invalid syslog format '{format}': rfc3164, rfc5424 and rfc5424micro are known"
            ));
        }
        if !format.starts_with("rfc5424") && (self.0.contains_key("labels") || self.0.contains_key("env")) {
            return Err(
                "labels and env need the syslog format rfc5424, which has a place for them".to_owned()
            );
        }
        match self.find("syslog-address").filter(|address| !address.is_empty()) {
            Some(address) => {
                check_address(address, &["udp", "tcp", "unix", "unixgram"])?;
                match address.strip_prefix("unix://").or_else(|| address.strip_prefix("unixgram://")) {
                    Some(path) if !Path::new(path).exists() => Err("Unix syslog delivery error".to_owned()),
                    _ => Ok(()),
                }
            }
            None if LOCAL_SYSLOG.iter().any(|path| Path::new(path).exists()) => Ok(()),
            None => Err("Unix syslog delivery error".to_owned()),
        }
    }

    fn check_gelf(&self) -> Result<(), String> {
        let kind = self.find("gelf-compression-type").unwrap_or("gzip");
        if !matches!(kind, "gzip" | "zlib" | "none") {
            return Err(format!("gelf: invalid compression type '{kind}': gzip, zlib and none are known"));
        }
        if let Some(level) = self.find("gelf-compression-level")
            && !level.parse::<u32>().is_ok_and(|level| level <= 9)
        {
            return Err(format!("gelf: invalid compression level '{level}': 0 to 9 are known"));
        }
        match self.find("gelf-address") {
            Some(address) if address.starts_with("udp://") => check_address(address, &["udp"]),
            _ => Err("gelf: cannot connect to GELF endpoint:  dial udp: missing address".to_owned()),
        }
    }
}

fn check_address(address: &str, schemes: &[&str]) -> Result<(), String> {
    let is_usable = |scheme: &str, rest: &str| match scheme {
        "unix" | "unixgram" => rest.starts_with('/'),
        _ => server::split(rest, 1).is_some(),
    };
    match address.split_once("://") {
        Some((scheme, rest)) if schemes.contains(&scheme) && is_usable(scheme, rest) => Ok(()),
        _ => Err(format!(
            "invalid log server address '{address}': {}:// and a place are needed",
            schemes.join("://, ")
        )),
    }
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
        ] {
            assert!(check(&config(driver, options)).is_err(), "{driver} {options:?}");
        }
        for (driver, options) in [
            ("json-file", &[("max-size", "10k"), ("max-file", "3"), ("labels", "a"), ("env", "b")][..]),
            ("none", &[("a", "b")]),
            ("syslog", &[address, ("labels", "a"), ("syslog-format", "rfc5424micro")]),
            ("gelf", &[("gelf-address", "udp://logs.example.com"), ("gelf-compression-level", "9")]),
        ] {
            assert_eq!(check(&config(driver, options)), Ok(()), "{driver} {options:?}");
        }
    }
}
