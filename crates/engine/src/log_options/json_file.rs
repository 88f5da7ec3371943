//! The options of json-file: when its file is rotated, and how many files are kept.

use shim_protocol::log::parse_size;

use super::options::Options;

pub(super) fn check(options: &Options<'_>) -> Result<(), String> {
    if let Some(size) = options.find("max-size")
        && parse_size(size).is_none()
    {
        return Err(format!("invalid size: '{size}'"));
    }
    match options.find("max-file").map(|files| (files, files.parse::<i64>())) {
        Some((_, Ok(files))) if files < 1 => Err("max-files cannot be less than 1.".to_owned()),
        Some((text, Err(_))) => Err(format!("max-file must be a number, not '{text}'")),
        Some((_, Ok(_))) | None => Ok(()),
    }
}
