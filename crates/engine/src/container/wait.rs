//! Waits until a container ends.

use crate::container::Phase;
use crate::container::containers::Containers;
use crate::error::Error;

impl Containers {
    /// Waits until the container ends, and gives its exit code; at once when it does not run.
    ///
    /// # Errors
    /// Unknown container, or one that is removed meanwhile without having ended.
    pub async fn wait(&self, reference: &str) -> Result<i32, Error> {
        let container = self.directory.find(reference)?;
        let exits = container.record().exits;
        let mut changes = container.watch();
        let ended = changes
            .wait_for(|record| {
                record.exits > exits
                    || matches!(record.phase, Phase::Created | Phase::Exited | Phase::Removing)
            })
            .await;
        match ended {
            Ok(record) => Ok(record.exit_code),
            Err(_) => Err(Error::NoSuchContainer(reference.to_owned())),
        }
    }
}
