//! Log drivers and their options: which are known, and what drivers are told about a container.

use std::collections::BTreeMap;

use model::LogConfig;

use crate::container::Record;

/// Options of each driver.
const DRIVERS: [(&str, &[&str]); 5] = [
    ("json-file", &["max-size", "max-file", "labels", "env", "tag"]),
    ("none", &[]),
    ("syslog", &["syslog-address", "syslog-facility", "syslog-tag", "tag", "labels", "env"]),
    ("journald", &["tag", "labels", "env"]),
    ("gelf", &["gelf-address", "gelf-tag", "tag", "labels", "env"]),
];

/// Checks a driver and its options, in the reference's words.
pub(crate) fn check(config: &LogConfig) -> Result<(), String> {
    let driver = config.driver.as_str();
    let Some((_, known)) = DRIVERS.iter().find(|(name, _)| *name == driver) else {
        return Err(format!(
            "Failed to get logging factory: logger: no log driver named '{driver}' is registered"
        ));
    };
    if let Some(unknown) = config.config.keys().find(|key| driver != "none" && !known.contains(&key.as_str()))
    {
        return Err(format!("unknown log opt '{unknown}' for {driver} log driver"));
    }
    let option = |name: &str| config.config.get(name).map(String::as_str);
    match driver {
        "json-file" => check_rotation(option("max-size"), option("max-file")),
        "syslog" => {
            check_address(option("syslog-address"), &["udp", "tcp", "unix", "unixgram"]).and_then(|()| {
                option("syslog-facility").map_or(Ok(()), check_facility)?;
                match option("syslog-address") {
                    None if !["/dev/log", "/var/run/syslog", "/var/run/log"]
                        .iter()
                        .any(|path| std::path::Path::new(path).exists()) =>
                    {
                        Err("Unix syslog delivery error".to_owned())
                    }
                    _ => Ok(()),
                }
            })
        }
        "gelf" => match option("gelf-address") {
            Some(address) if address.starts_with("udp://") => check_address(Some(address), &["udp"]),
            _ => Err("gelf: cannot connect to GELF endpoint:  dial udp: missing address".to_owned()),
        },
        "journald" if !std::path::Path::new("/run/systemd/journal/socket").exists() => {
            Err("journald is not enabled on this host".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_rotation(size: Option<&str>, files: Option<&str>) -> Result<(), String> {
    if let Some(size) = size
        && parse_size(size).is_none()
    {
        return Err(format!("invalid size: '{size}'"));
    }
    match files.map(|files| (files, files.parse::<u32>())) {
        None => Ok(()),
        Some((_, Ok(0))) => Err("max-files cannot be less than 1.".to_owned()),
        Some((_, Ok(_))) if size.is_none() => Ok(()),
        Some((_, Ok(_))) => Ok(()),
        Some((text, Err(_))) => Err(format!("max-file must be a number, not '{text}'")),
    }
}

/// Parses a size as `10k`, `1m`, `2gb`, in units of 1024.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, factor) = match bare.chars().last()? {
        'k' => (&bare[..bare.len() - 1], 1 << 10),
        'm' => (&bare[..bare.len() - 1], 1 << 20),
        'g' => (&bare[..bare.len() - 1], 1 << 30),
        't' => (&bare[..bare.len() - 1], 1_u64 << 40),
        _ => (bare, 1),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(factor)
}

fn check_address(address: Option<&str>, schemes: &[&str]) -> Result<(), String> {
    let Some(address) = address else { return Ok(()) };
    match address.split_once("://") {
        Some((scheme, rest)) if schemes.contains(&scheme) && !rest.is_empty() => Ok(()),
        _ => Err(format!(
            "invalid log server address '{address}': {}:// and a place are needed",
            schemes.join("://, ")
        )),
    }
}

fn check_facility(facility: &str) -> Result<(), String> {
    const NAMES: [&str; 20] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];
    if NAMES.contains(&facility) || facility.parse::<u8>().is_ok_and(|number| number <= 23) {
        Ok(())
    } else {
        Err("invalid syslog facility".to_owned())
    }
}

/// What drivers are told about a container.
pub(crate) fn attributes(record: &Record) -> BTreeMap<String, String> {
    let options = &record.host_config.log_config.config;
    let mut command = vec![record.path.clone()];
    command.extend(record.arguments.iter().cloned());
    let mut attributes = BTreeMap::from([
        ("image_name".to_owned(), record.config.image.clone()),
        ("image_id".to_owned(), record.image.hexadecimal()),
        ("command".to_owned(), command.join(" ")),
        ("created".to_owned(), record.created.to_string()),
    ]);
    if let Some(tag) = ["tag", "syslog-tag", "gelf-tag"].iter().find_map(|name| options.get(*name)) {
        attributes.insert("tag".to_owned(), expand_tag(tag, record));
    }
    let chosen =
        |name: &str| options.get(name).map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>());
    for name in chosen("labels").unwrap_or_default() {
        if let Some(value) = record.config.labels.as_ref().and_then(|labels| labels.get(&name)) {
            attributes.insert(name, value.clone());
        }
    }
    for name in chosen("env").unwrap_or_default() {
        let variable = record
            .config
            .env
            .iter()
            .flatten()
            .find_map(|variable| variable.strip_prefix(&name)?.strip_prefix('='));
        if let Some(value) = variable {
            attributes.insert(name, value.to_owned());
        }
    }
    attributes
}

/// Fills in the placeholders that tags may hold.
fn expand_tag(tag: &str, record: &Record) -> String {
    tag.replace("{{.ID}}", record.id.short())
        .replace("{{.FullID}}", record.id.as_str())
        .replace("{{.Name}}", &record.name)
        .replace("{{.ImageName}}", &record.config.image)
        .replace("{{.ImageID}}", &record.image.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        LogConfig { driver: driver.to_owned(), config }
    }

    #[test]
    fn bad_options_are_refused() {
        for (driver, options) in [
            ("bogus", &[][..]),
            ("json-file", &[("bogus", "1")]),
            ("json-file", &[("max-size", "abc")]),
            ("json-file", &[("max-file", "0")]),
            ("json-file", &[("max-file", "x")]),
            ("gelf", &[]),
            ("gelf", &[("gelf-address", "foo")]),
            ("syslog", &[("syslog-address", "http://x")]),
            ("syslog", &[("syslog-address", "udp://127.0.0.1:1"), ("syslog-facility", "nope")]),
        ] {
            assert!(check(&config(driver, options)).is_err(), "{driver} {options:?}");
        }
        assert!(check(&config("json-file", &[("max-size", "10k"), ("max-file", "3")])).is_ok());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("10k"), Some(10 << 10));
        assert_eq!(parse_size("1MB"), Some(1 << 20));
        assert_eq!(parse_size("7"), Some(7));
        assert_eq!(parse_size("k"), None);
    }
}
