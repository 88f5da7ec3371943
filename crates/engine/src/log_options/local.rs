//! The options of local: those of json-file, and whether rotated files are compressed, which they are not.

use super::{json_file, options::Options};

pub(super) fn check(options: &Options<'_>) -> Result<(), String> {
    json_file::check(options)?;
    match options.find("compress") {
        None | Some("false" | "0") => Ok(()),
        Some("true" | "1") => {
            Err("compress is not supported by the local log driver: its files are read from their end"
                .to_owned())
        }
        Some(other) => Err(format!("compress must be true or false, not '{other}'")),
    }
}
