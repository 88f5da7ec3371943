//! The handles for the streams of containers.

use std::sync::Arc;

use crate::clients::ClientNumbers;
use crate::directory::Directory;
use crate::events::Events;
use crate::logs::Logs;

/// Joins clients to containers' stdio.
pub struct Streams {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) clients: Arc<ClientNumbers>,
    pub(crate) logs: Arc<Logs>,
}
