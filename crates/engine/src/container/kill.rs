//! Sends a signal to a container's init.

use std::sync::Arc;

use model::Signal;

use crate::container::stop::{Stopper, wait_for_exit};
use crate::container::{Command, Decision, decide};
use crate::error::Error;
use crate::store::Written;

impl Stopper {
    /// Sends a signal; SIGKILL is waited for.
    ///
    /// # Errors
    /// Unknown container, or one that does not run.
    pub(crate) async fn kill(self: &Arc<Self>, reference: &str, signal: Signal) -> Result<(), Error> {
        let container = self.directory.find(reference).map_err(|error| error.on("kill", reference))?;
        let stopper = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let record = container.record();
            match decide(record.phase, Command::Kill) {
                Decision::Run => {}
                Decision::AlreadyDone | Decision::Refuse(_) => {
                    return Err(Error::NotRunning(record.id.to_string()).on("kill", reference));
                }
            }
            let own = record.settings.stop_signal.as_ref().map(|own| own.signal());
            if asks_to_end(signal, own) {
                if stopper.take_from_policy(&container).await.map(Written::forget).is_none() {
                    // It was only waiting for its restart.
                    return Ok(());
                }
                stopper.freezer.thaw_to_end(&container).await;
            } else if record.is_restarting() {
                // There is no process to receive it, and it does not end the restart policy.
                return Err(Error::NotRunning(record.id.to_string()).on("kill", reference));
            }
            let sent = if signal == Signal::KILL {
                stopper.kill_processes(&container).await
            } else {
                stopper.signal(&container, signal).await
            };
            sent.map_err(|error| error.on("kill", reference))?;
            if signal == Signal::KILL {
                wait_for_exit(&container, record.exits, Some(std::time::Duration::from_secs(30))).await;
                if record.has_published_ports() {
                    stopper.networking.until_ports_are_free().await;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Whether a signal requests the process's end: no restart policy undoes that.
fn asks_to_end(signal: Signal, stop_signal: Option<Signal>) -> bool {
    let usual = [Signal::KILL, Signal::TERM, Signal::INT, Signal::QUIT];
    usual.contains(&signal) || stop_signal == Some(signal)
}
