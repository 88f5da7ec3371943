//! Sets the size of a container's terminal.

use shim_protocol::Request;

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Sets the terminal's rows and columns.
    ///
    /// # Errors
    /// Unknown container, or one that does not run.
    pub async fn resize(&self, reference: &str, height: u16, width: u16) -> Result<(), Error> {
        let container = self.find(reference)?;
        let record = container.record();
        let shim = container.shim().filter(|_| record.is_running());
        let shim = shim.ok_or_else(|| Error::NotRunning(record.id.to_string()))?;
        shim.request(Request::Resize { height, width }, None).await?;
        self.emit(&record, "resize", &[("height", height.to_string()), ("width", width.to_string())]);
        Ok(())
    }
}
