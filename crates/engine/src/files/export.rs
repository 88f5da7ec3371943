//! A container's root file system as one tar, without its volumes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::container::Record;
use crate::error::Error;
use crate::files::service::Files;
use crate::outcome::joined;

/// A container to be exported; [`ExportSession::run`] follows once the answer's head is written.
pub struct ExportSession {
    files: Arc<Files>,
    record: Arc<Record>,
    layers: Vec<PathBuf>,
}

impl Files {
    /// Looks up a container to be exported.
    ///
    /// # Errors
    /// Unknown container, or one whose image is gone.
    pub fn prepare_export(self: &Arc<Self>, reference: &str) -> Result<ExportSession, Error> {
        let record = self.directory.find(reference)?.record();
        let layers = self.stacked_directories(&record)?;
        Ok(ExportSession { files: Arc::clone(self), record, layers })
    }
}

impl ExportSession {
    /// Writes the tar.
    ///
    /// # Errors
    /// When a layer cannot be read or `out` fails.
    pub async fn run(self, mut out: Box<dyn Write + Send>) -> Result<(), Error> {
        let Self { files, record, layers } = self;
        let work = tokio::task::spawn_blocking(move || {
            images::export(&layers, &mut out).and_then(|_| out.flush().map_err(images::Error::Output))
        });
        joined(work.await)?.map_err(Error::Image)?;
        files.events.emit_container(&record, "export", &[]);
        Ok(())
    }
}
