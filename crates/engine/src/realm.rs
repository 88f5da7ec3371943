//! One of the two worlds of containers: those of Docker's clients, and those of pods.
//!
//! Each has its own directory, so that nothing of the one is found, listed, named or joined in the other. Images, the
//! network's addresses, the database and the disk are shared.

use std::sync::Arc;

use crate::container::containers::Containers;
use crate::container::exit::Supervisor;
use crate::directory::Directory;
use crate::events::Events;
use crate::exec::Execs;
use crate::networking::Networking;
use crate::paths::Paths;
use crate::store::Database;
use crate::volumes::{VolumeMounts, Volumes};

/// The services of one world of containers.
#[derive(Clone)]
pub(crate) struct Realm {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) containers: Arc<Containers>,
    pub(crate) execs: Arc<Execs>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) volume_mounts: Arc<VolumeMounts>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) database: Arc<Database>,
}
