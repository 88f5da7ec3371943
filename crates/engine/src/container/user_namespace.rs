//! Which containers have a user namespace of their own, and what cannot be with one.

use model::{HostSettings, IdMapping, NetworkMode, PidMode, UserNamespaceMode};

use crate::error::Error;

/// The mapping of a container of Docker's clients, where the daemon maps users and the container does not opt out.
///
/// # Errors
/// Refused, in dockerd's words, when the container shares what belongs to the host's users.
pub(crate) fn mapping<'m>(
    host: &HostSettings,
    daemon: Option<&'m IdMapping>,
) -> Result<Option<&'m IdMapping>, Error> {
    let Some(mapping) = daemon.filter(|_| host.user_namespace_mode != UserNamespaceMode::Host) else {
        return Ok(None);
    };
    for (is_shared, words) in [
        (
            host.privileged,
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
        ),
        (
            host.network_mode == NetworkMode::Host,
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (
            host.pid_mode == PidMode::Host,
            "cannot share the host PID namespace when user namespaces are enabled",
        ),
    ] {
        if is_shared {
            return Err(Error::refused(words));
        }
    }
    Ok(Some(mapping))
}
