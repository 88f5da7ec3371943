//! Numbers of a container's user, from its own files.

use std::os::fd::BorrowedFd;
use std::path::Path;

use model::{AskedIdentity, Identity};
use sys::account_file;

use super::PathError;
use crate::unpack::Ownership;

/// Makes the user of a container, by its settings, the owner of files that are copied into it.
///
/// # Errors
/// [`PathError`]: `Invalid` for a user or group that is missing in the container's files.
pub fn ownership_of(root: BorrowedFd<'_>, user: &str) -> Result<Ownership, PathError> {
    let read = |path: &str| {
        let failed = |source| PathError::System { act: "read", path: path.to_owned(), source };
        account_file::read(root, Path::new(path)).map_err(failed)
    };
    let identity =
        Identity::resolve(&AskedIdentity::user(user), &read("/etc/passwd")?, &read("/etc/group")?)?;
    Ok(Ownership::Fixed { uid: identity.uid, gid: identity.gid })
}
