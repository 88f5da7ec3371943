//! A container's root file system as one tar, without its volumes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use model::EventAction;

use crate::container::Container;
use crate::error::Error;
use crate::files::hold::HeldFiles;
use crate::files::service::Files;
use crate::outcome::joined;

/// A container to be exported; [`ExportSession::run`] follows once the answer's head is written.
pub struct ExportSession {
    files: Arc<Files>,
    container: Arc<Container>,
    reference: String,
    held: HeldFiles,
    layers: Vec<PathBuf>,
}

impl Files {
    /// Looks up a container to be exported.
    ///
    /// # Errors
    /// Unknown container, or one whose image is gone.
    pub fn prepare_export(self: &Arc<Self>, reference: &str) -> Result<ExportSession, Error> {
        let container = self.directory.find(reference)?;
        let prepared = self.hold(&container).and_then(|held| {
            let layers = self.stacked_directories(&container.record())?;
            Ok((held, layers))
        });
        let (held, layers) = prepared.map_err(|error| self.unless_gone(&container, reference, error))?;
        Ok(ExportSession {
            files: Arc::clone(self),
            container,
            reference: reference.to_owned(),
            held,
            layers,
        })
    }
}

impl ExportSession {
    /// Writes the tar.
    ///
    /// # Errors
    /// When the container went before it was begun, a layer cannot be read or `out` fails.
    pub async fn run(self, mut out: Box<dyn Write + Send>) -> Result<(), Error> {
        let Self { files, container, reference, held, layers } = self;
        let work = tokio::task::spawn_blocking(move || {
            let _held = held;
            images::export(&layers, &mut out).and_then(|_| out.flush().map_err(images::Error::Output))
        });
        let written = joined(work.await)?.map_err(Error::Image);
        written.map_err(|error| files.unless_gone(&container, &reference, error))?;
        files.events.emit_container(&container.record(), EventAction::Export, &[]);
        Ok(())
    }
}
