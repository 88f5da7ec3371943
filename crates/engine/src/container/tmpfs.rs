//! The file systems in memory that a container requests.

use model::{HostSettings, Mount, MountAccess, MountKind, MountSource, Propagation, Submounts};

use crate::container::mounts::clean;
use crate::error::Error;

/// Mount options of a tmpfs for which none are given.
const DEFAULT_OPTIONS: &str = "noexec,nosuid,nodev";

/// All requested tmpfs mounts.
///
/// # Errors
/// Refused when one would hide the root, or its path is not absolute.
pub(crate) fn mounts(host: &HostSettings) -> Result<Vec<Mount>, Error> {
    let mut all = Vec::new();
    for (destination, options) in host.tmpfs.iter().flatten() {
        all.push(mount(
            destination,
            if options.is_empty() { DEFAULT_OPTIONS.to_owned() } else { options.clone() },
        )?);
    }
    for request in host.mounts.iter().flatten() {
        let MountKind::Tmpfs { size, mode, executable } = request.kind else { continue };
        let mut options = DEFAULT_OPTIONS.to_owned();
        if let Some(bytes) = size {
            options.push_str(&format!(",size={bytes}"));
        }
        if let Some(mode) = mode {
            options.push_str(&format!(",mode={mode:o}"));
        }
        if executable {
            options.push_str(",exec");
        }
        if request.read_only {
            options.push_str(",ro");
        }
        all.push(mount(&request.target, options)?);
    }
    Ok(all)
}

fn mount(destination: &str, options: String) -> Result<Mount, Error> {
    if !destination.starts_with('/') {
        let message = format!("invalid mount path: '{destination}' mount path must be absolute");
        return Err(Error::refused(message));
    }
    let destination = clean(destination);
    if destination == std::path::Path::new("/") {
        return Err(Error::system("mounting into / is prohibited"));
    }
    Ok(Mount {
        source: MountSource::Tmpfs(options),
        destination,
        access: MountAccess::ReadWrite,
        propagation: Propagation::RecursivePrivate,
        submounts: Submounts::Included,
        subpath: None,
        owners: model::Owners::OfContainer,
    })
}
