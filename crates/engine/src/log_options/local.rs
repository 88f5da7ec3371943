//! The options of the driver `local`: those of json-file.

use super::{json_file, options::Options};

pub(super) fn check(options: &Options<'_>) -> Result<(), String> {
    json_file::check_files(options)
}
