//! The marker that the networks of a running container are being changed. If a daemon dies during the change, the next one
//! completes it; a container without a marker matches its record, and costs no start of the daemon anything.

use std::fs::File;

use model::ContainerId;
use shim_protocol::RunDirectory;

use super::service::Networking;
use crate::error::{Error, file_error};

/// A change under way. What is dropped without [`Moving::done`] stays noted.
pub(crate) struct Moving(RunDirectory);

impl Moving {
    /// Notes that the networks of a running container change. The caller holds its transition.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub(crate) fn begin(networking: &Networking, container: &ContainerId) -> Result<Self, Error> {
        let directory = networking.paths.run(container);
        let note = directory.moving();
        match File::create(&note) {
            // It has ended, and nothing of it is settled any more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => drop(other.map_err(file_error("note the move in", &note))?),
        }
        Ok(Self(directory))
    }

    /// Finds a change that a daemon died over, or that could not be undone.
    pub(crate) fn interrupted(networking: &Networking, container: &ContainerId) -> Option<Self> {
        let directory = networking.paths.run(container);
        directory.moving().exists().then_some(Self(directory))
    }

    /// The container is whole.
    pub(crate) fn done(self) {
        let note = self.0.moving();
        if let Err(error) = std::fs::remove_file(&note)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", note.display());
        }
    }
}
