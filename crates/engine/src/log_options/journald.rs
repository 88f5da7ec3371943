//! What journald needs of the host.

use std::path::Path;

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

pub(super) fn check() -> Result<(), String> {
    if Path::new(JOURNAL).exists() { Ok(()) } else { Err("journald is not enabled on this host".to_owned()) }
}
