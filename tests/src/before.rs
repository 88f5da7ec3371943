//! What an engine has before a test begins, which its end is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host;

/// The files, database rows and parts of its network that an engine has before it has containers.
#[derive(Debug, Default)]
pub(crate) struct Before {
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) rows: BTreeMap<String, i64>,
    pub(crate) interfaces: BTreeSet<String>,
    pub(crate) rules: BTreeSet<String>,
    pub(crate) addresses: BTreeSet<String>,
    pub(crate) settings: BTreeSet<String>,
    pub(crate) ports: BTreeSet<String>,
}

impl Before {
    /// Records the state of an engine without containers: its data root, and a process in its network.
    pub(crate) fn of(data_root: &Path, network: u32) -> Self {
        Self {
            files: host::files_of(data_root),
            rows: rows(data_root),
            interfaces: host::interfaces_of(network),
            rules: host::rules_of(network),
            addresses: host::addresses_of(network),
            settings: host::network_settings_of(network),
            ports: host::held_ports_of(network),
        }
    }
}

/// The rows of both databases, except events and the engine's identity, which are kept on purpose.
pub(crate) fn rows(data_root: &Path) -> BTreeMap<String, i64> {
    let mut rows = host::rows_of(&data_root.join("state.db"));
    rows.remove("events");
    rows.remove("settings");
    for (table, count) in host::rows_of(&data_root.join("images/images.db")) {
        rows.insert(format!("images.{table}"), count);
    }
    rows
}
