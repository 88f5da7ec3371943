//! The options of json-file: when its file is rotated, how many files are kept, and whether they are compressed.

use shim_protocol::log::{is_bool, is_true, parse_size};

use crate::options::Options;

pub(crate) fn check(options: &Options<'_>) -> Result<(), String> {
    check_files(options)?;
    let has_several =
        options.find("max-file").and_then(|files| files.parse().ok()).is_some_and(|files: i64| files > 1);
    if options.find("compress").is_some_and(is_true) && !(has_several && options.find("max-size").is_some()) {
        return Err("compress cannot be true when max-file is less than 2 or max-size is not set".to_owned());
    }
    Ok(())
}

/// Checks what this driver and local have in common.
pub(crate) fn check_files(options: &Options<'_>) -> Result<(), String> {
    if let Some(value) = options.find("compress").filter(|value| !is_bool(value)) {
        return Err(format!("compress must be true or false, not '{value}'"));
    }
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
