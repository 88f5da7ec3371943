//! Places of mounts: cleaned paths, and no two mounts on one.

use crate::error::Error;

pub(crate) use model::clean;

/// Refuses a mount on a place that a bind or volume has, or something else.
pub(crate) fn check_free(
    planned: &[model::MountPoint],
    others: &[&str],
    destination: &str,
) -> Result<(), Error> {
    check_duplicate(planned, destination)?;
    let destination = clean(destination);
    if others.iter().any(|other| clean(other) == destination) {
        return Err(Error::refused(format!("Duplicate mount point: {}", destination.display())));
    }
    Ok(())
}

/// Refuses two mounts on one place.
pub(crate) fn check_duplicate(planned: &[model::MountPoint], destination: &str) -> Result<(), Error> {
    let destination = clean(destination);
    if planned.iter().any(|mount| clean(&mount.destination) == destination) {
        return Err(Error::refused(format!("Duplicate bind mount {}", destination.display())));
    }
    Ok(())
}
