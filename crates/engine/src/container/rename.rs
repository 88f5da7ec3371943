//! Gives a container another name.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::names;

impl Engine {
    /// Renames a container.
    ///
    /// # Errors
    /// Unknown container, or a name that is taken or not allowed.
    pub async fn rename(self: &Arc<Self>, reference: &str, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::RenameToNothing);
        }
        let container = self.find(reference)?;
        let new = names::check(name).map_err(|error| Error::Rename(Box::new(error)))?;
        let engine = Arc::clone(self);
        crate::outcome::finish(async move {
            let _order = container.transition.lock().await;
            engine.directory.reserve(&new, container.id()).map_err(|error| Error::Rename(Box::new(error)))?;
            let old = container.record().name.clone();
            let renamed = container.update(&engine.database, |record| record.name.clone_from(&new));
            match renamed {
                Ok(record) => {
                    engine.directory.release(&old);
                    engine.refresh_links_to(&record);
                    engine.emit(&record, "rename", &[("oldName", format!("/{old}"))]);
                    Ok(())
                }
                Err(error) => {
                    engine.directory.release(&new);
                    Err(error)
                }
            }
        })
        .await
    }
}
