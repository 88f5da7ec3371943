//! Lists a container's processes as the host's `ps` shows them: the usual columns without starting
//! it, others by it.

mod command;
mod full;
mod list;

use model::EventAction;
use shim_protocol::{Answer, Request};

use crate::container::containers::Containers;
use crate::error::Error;
use crate::outcome::joined;

pub use self::list::ProcessList;

/// The default arguments.
const FULL: &str = "-ef";

impl Containers {
    /// Lists a container's processes with the columns that the `ps` arguments select.
    ///
    /// # Errors
    /// Unknown container, one that does not run, or arguments that `ps` refuses.
    pub async fn top(&self, reference: &str, arguments: &str) -> Result<ProcessList, Error> {
        let container = self.directory.find(reference)?;
        let record = container.record();
        let shim = container.shim().filter(|_| record.is_running());
        let shim = shim.ok_or_else(|| Error::NotRunning(reference.to_owned()))?;
        let answer = shim.request(Request::Processes, None).await;
        let pids = match answer.map_err(|error| error.of_running(reference))? {
            Answer::Processes(pids) => pids,
            _ => Vec::new(),
        };
        if pids.is_empty() {
            // Its init has just ended: the exit is about to be recorded.
            return Err(Error::NotRunning(reference.to_owned()));
        }
        let list = match arguments.trim() {
            "" | FULL => joined(tokio::task::spawn_blocking(move || full::list(&pids)).await)?,
            arguments => command::list(arguments, &pids).await?,
        };
        self.events.emit_container(&record, EventAction::Top, &[]);
        Ok(list)
    }
}
