//! A volume as the engine shows it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::{Timestamp, VolumeDriverKind};

/// The label of anonymous volumes, which clients evaluate.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The driver that stores its content.
    pub driver: VolumeDriverKind,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// The clients' labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// The directory on the host that holds its content.
    pub content: PathBuf,
}

impl Volume {
    /// Whether its name was generated.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}
