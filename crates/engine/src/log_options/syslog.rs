//! The options of syslog: which server, and how lines begin.

use std::path::Path;

use shim_protocol::log::parse_facility;

use super::options::Options;
use super::server::check_address;

/// Where a host's own syslog listens.
const LOCAL_SYSLOG: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

pub(super) fn check(options: &Options<'_>) -> Result<(), String> {
    if options.find("syslog-facility").is_some_and(|facility| parse_facility(facility).is_none()) {
        return Err("invalid syslog facility".to_owned());
    }
    let format = options.find("syslog-format").unwrap_or_default();
    if !matches!(format, "" | "rfc3164" | "rfc5424" | "rfc5424micro") {
        return Err(format!("invalid syslog format '{format}': rfc3164, rfc5424 and rfc5424micro are known"));
    }
    if !format.starts_with("rfc5424") && (options.find("labels").is_some() || options.find("env").is_some()) {
        return Err("labels and env need the syslog format rfc5424, which has a place for them".to_owned());
    }
    match options.find("syslog-address").filter(|address| !address.is_empty()) {
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
