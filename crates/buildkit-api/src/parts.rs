//! The shared parts for all calls of the protocol.

use std::path::PathBuf;
use std::sync::Arc;

use engine::Engine;

use crate::builds::Builds;
use crate::received::Received;
use crate::session::Sessions;
use crate::uploads::Uploads;

/// The engine, and the clients' sessions, builds and files.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) sessions: Sessions,
    pub(crate) builds: Builds,
    pub(crate) received: Received,
    pub(crate) uploads: Uploads,
    /// Where sockets are made for clients' ssh agents.
    pub(crate) directory: PathBuf,
    /// The version of the daemon, as it is shown.
    pub(crate) version: String,
}
