//! `Tmpfs` and the tmpfs entries of `Mounts`.

use model::{HostConfig, Mount, MountSource, Propagation};

use crate::container::mounts::clean;
use crate::error::Error;

/// Mount options of a tmpfs for which none are given.
const DEFAULT_OPTIONS: &str = "noexec,nosuid,nodev";

/// All tmpfs mounts that are asked for.
///
/// # Errors
/// Refused when one would hide the root.
pub(crate) fn mounts(host: &HostConfig) -> Result<Vec<Mount>, Error> {
    let mut all = Vec::new();
    for (destination, options) in host.tmpfs.iter().flatten() {
        all.push(mount(
            destination,
            if options.is_empty() { DEFAULT_OPTIONS.to_owned() } else { options.clone() },
        )?);
    }
    for spec in host.mounts.iter().flatten().filter(|spec| spec.kind == "tmpfs") {
        let option =
            |name: &str| spec.tmpfs_options.as_ref()?.get(name)?.as_u64().filter(|value| *value != 0);
        let mut options = DEFAULT_OPTIONS.to_owned();
        if let Some(bytes) = option("SizeBytes") {
            options.push_str(&format!(",size={bytes}"));
        }
        if let Some(mode) = option("Mode") {
            options.push_str(&format!(",mode={mode:o}"));
        }
        if spec.read_only {
            options.push_str(",ro");
        }
        all.push(mount(&spec.target, options)?);
    }
    Ok(all)
}

fn mount(destination: &str, options: String) -> Result<Mount, Error> {
    let destination = clean(destination);
    if destination == std::path::Path::new("/") {
        return Err(Error::system("mounting into / is prohibited"));
    }
    Ok(Mount {
        source: MountSource::Tmpfs(options),
        destination,
        read_only: false,
        propagation: Propagation::RecursivePrivate,
    })
}
