//! Places of mounts: cleaned paths, and no two mounts on one.

use crate::error::Error;

pub(crate) use model::clean;

/// Refuses two mounts on one place.
pub(crate) fn check_duplicate(planned: &[model::MountPoint], destination: &str) -> Result<(), Error> {
    let destination = clean(destination);
    if planned.iter().any(|mount| clean(&mount.destination) == destination) {
        return Err(Error::refused(format!("Duplicate bind mount {}", destination.display())));
    }
    Ok(())
}
