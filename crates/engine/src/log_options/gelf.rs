//! The options of gelf: which server, and how messages are compressed.

use super::options::Options;
use super::server::check_address;

pub(super) fn check(options: &Options<'_>) -> Result<(), String> {
    let kind = options.find("gelf-compression-type").unwrap_or("gzip");
    if !matches!(kind, "gzip" | "zlib" | "none") {
        return Err(format!("gelf: invalid compression type '{kind}': gzip, zlib and none are known"));
    }
    if let Some(level) = options.find("gelf-compression-level")
        && !level.parse::<u32>().is_ok_and(|level| level <= 9)
    {
        return Err(format!("gelf: invalid compression level '{level}': 0 to 9 are known"));
    }
    match options.find("gelf-address") {
        Some(address) if address.starts_with("udp://") => check_address(address, &["udp"]),
        _ => Err("gelf: cannot connect to GELF endpoint:  dial udp: missing address".to_owned()),
    }
}
