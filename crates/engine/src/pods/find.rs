//! Finds parts of pods: sandboxes, and the containers in them.

use std::sync::Arc;

use crate::container::{Container, Record};
use crate::error::Error;
use crate::realm::Realm;

/// All parts of all pods, newest first.
pub(super) fn records(realm: &Realm) -> impl Iterator<Item = Arc<Record>> {
    realm.directory.newest_first().into_iter().map(|container| container.record())
}

/// Finds a sandbox by its id, or an unambiguous start of it.
///
/// # Errors
/// [`Error::NoSuchContainer`] or [`Error::AmbiguousContainer`].
pub(super) fn sandbox(realm: &Realm, reference: &str) -> Result<Arc<Container>, Error> {
    find(realm, reference, Record::is_sandbox)
}

/// Finds a container of a pod by its id, or an unambiguous start of it.
///
/// # Errors
/// [`Error::NoSuchContainer`] or [`Error::AmbiguousContainer`].
pub(super) fn container(realm: &Realm, reference: &str) -> Result<Arc<Container>, Error> {
    find(realm, reference, |record| !record.is_sandbox())
}

fn find(realm: &Realm, reference: &str, is_meant: impl Fn(&Record) -> bool) -> Result<Arc<Container>, Error> {
    let found = realm.directory.find(reference)?;
    if is_meant(&found.record()) { Ok(found) } else { Err(Error::NoSuchContainer(reference.to_owned())) }
}
