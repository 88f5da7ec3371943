//! The options of the driver `local`: those of json-file.

use crate::json_file;
use crate::options::Options;

/// The default rotation of files, as documented for the driver.
pub const ROTATION: [(&str, &str); 3] = [("max-size", "20m"), ("max-file", "5"), ("compress", "true")];

pub(crate) fn check(options: &Options<'_>) -> Result<(), String> {
    json_file::check_files(options)
}
