//! The identity of a process: users and groups from the container's own files.

use std::path::Path;

use model::{AskedIdentity, Identity, IdentityError, ProcessSpec};
use sys::account_file;

use crate::error::Doing;
use crate::root::place::Root;
use crate::{FailureKind, StartError};

/// Looks up the user and groups of a process.
pub(crate) fn identify(process: &ProcessSpec, root: &Root) -> Result<Identity, StartError> {
    let read =
        |path: &str| account_file::read(root, Path::new(path)).doing_with(|| format!("reading {path}"));
    let (users, groups) = (read("/etc/passwd")?, read("/etc/group")?);
    let asked = AskedIdentity {
        user: &process.user,
        additional_groups: &process.additional_groups,
        groups_of_user: process.groups_of_user,
    };
    Identity::resolve(&asked, &users, &groups).map_err(|error| {
        let failure = match &error {
            IdentityError::Unknown { .. } => FailureKind::UserNotFound,
            IdentityError::OutOfRange => FailureKind::System,
        };
        StartError::words(failure, error.to_string())
    })
}
