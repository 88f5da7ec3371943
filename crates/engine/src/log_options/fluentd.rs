//! The options of fluentd: which server, how hard it is tried to reach it, and what messages have.

use shim_protocol::log::{is_bool, parse_duration, parse_size};

use super::options::Options;
use super::server::check_address;

pub(super) fn check(options: &Options<'_>) -> Result<(), String> {
    if let Some(address) = options.find("fluentd-address").filter(|address| !address.is_empty()) {
        if address.starts_with("tls://") {
            return Err("fluentd: tls:// is not supported: tcp:// and unix:// are".to_owned());
        }
        let whole = match address.contains("://") {
            true => address.to_owned(),
            false => format!("tcp://{address}"),
        };
        check_address(&whole, &["tcp", "unix"])?;
    }
    for name in ["fluentd-async", "fluentd-request-ack", "fluentd-sub-second-precision"] {
        if let Some(value) = options.find(name)
            && !is_bool(value)
        {
            return Err(format!("invalid value for {name}: '{value}' must be true or false"));
        }
    }
    let invalid = |name: &str, value: &str| format!("invalid value for {name}: '{value}'");
    if let Some(limit) = options.find("fluentd-buffer-limit").filter(|limit| parse_size(limit).is_none()) {
        return Err(invalid("fluentd-buffer-limit", limit));
    }
    if let Some(retries) = options.find("fluentd-max-retries").filter(|text| text.parse::<u32>().is_err()) {
        return Err(invalid("fluentd-max-retries", retries));
    }
    match options.find("fluentd-retry-wait").filter(|wait| parse_duration(wait).is_none()) {
        Some(wait) => Err(invalid("fluentd-retry-wait", wait)),
        None => Ok(()),
    }
}
