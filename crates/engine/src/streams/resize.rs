//! Sets the size of a container's terminal.

use model::EventAction;
use shim_protocol::Request;

use super::service::Streams;
use crate::error::Error;

impl Streams {
    /// Sets the terminal's rows and columns.
    ///
    /// # Errors
    /// Unknown container, or one that does not run.
    pub async fn resize(&self, reference: &str, height: u16, width: u16) -> Result<(), Error> {
        let container = self.directory.find(reference)?;
        let record = container.record();
        let shim = container.shim().filter(|_| record.is_running());
        let shim = shim.ok_or_else(|| Error::NotRunning(record.id.to_string()))?;
        let resized = shim.request(Request::Resize { height, width }, None).await;
        resized.map_err(|error| error.of_running(record.id.as_str()))?;
        self.events.emit_container(
            &record,
            EventAction::Resize,
            &[("height", height.to_string()), ("width", width.to_string())],
        );
        Ok(())
    }
}
