//! The handles for work on containers' files.

use std::sync::Arc;

use crate::container::pause::Freezer;
use crate::directory::Directory;
use crate::events::Events;
use crate::image::Images;
use crate::networking::Networking;
use crate::paths::Paths;
use crate::volumes::{VolumeMounts, Volumes};

/// Reads and writes the files of containers.
pub struct Files {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) images: Arc<Images>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) volume_mounts: Arc<VolumeMounts>,
    pub(crate) freezer: Arc<Freezer>,
    pub(crate) paths: Arc<Paths>,
}
