//! Gives a container another name.

use std::sync::Arc;

use model::EventAction;

use crate::container::containers::Containers;
use crate::error::Error;
use crate::names;

impl Containers {
    /// Renames a container.
    ///
    /// # Errors
    /// Unknown container, or a name that is taken or not allowed.
    pub async fn rename(self: &Arc<Self>, reference: &str, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::RenameToNothing);
        }
        let container = self.directory.find(reference)?;
        let new = names::check(name).map_err(|error| Error::Rename(Box::new(error)))?;
        let containers = Arc::clone(self);
        let reference = reference.to_owned();
        crate::outcome::finish(async move {
            let _order = container.lock_present(&reference).await?;
            containers
                .directory
                .reserve(&new, container.id())
                .map_err(|error| Error::Rename(Box::new(error)))?;
            let old = container.record().name.clone();
            let (record, written) = container.update_saved(|record| record.name.clone_from(&new));
            match written.wait().await {
                Ok(()) => {
                    containers.directory.release(&old, container.id());
                    containers.networking.links.refresh_to(&record);
                    if let Err(error) = containers.networking.name_servers.rename(&record) {
                        tracing::error!("others find container {} by its old name: {error}", record.id);
                    }
                    containers.events.emit_container(
                        &record,
                        EventAction::Rename,
                        &[("oldName", format!("/{old}"))],
                    );
                    Ok(())
                }
                Err(error) => {
                    container.update(|record| record.name.clone_from(&old));
                    containers.directory.release(&new, container.id());
                    Err(error)
                }
            }
        })
        .await
    }
}
