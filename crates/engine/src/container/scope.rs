//! Cgroups of pods that systemd keeps: each container has a scope in the slice that the kubelet names.
//!
//! The shim makes the directory and init is born into it; then systemd takes over both. What a crash leaves behind is
//! systemd's as well: a scope without processes ends by itself.

use std::fs;
use std::path::{Path, PathBuf};

use model::{ProcessReference, Resources, with_causes};
use systemd::{Scope, Slice, Systemd};

use crate::container::Record;
use crate::container::resources::of_cgroup;
use crate::error::{Error, file_error};
use crate::options::CgroupDriver;
use crate::outcome::joined;

/// How the name of a scope ends.
const SUFFIX: &str = ".scope";

/// The scope that a container is to have; `None` where it has a directory of its own.
pub(crate) fn name(record: &Record, driver: CgroupDriver) -> Option<String> {
    match driver {
        CgroupDriver::Systemd if record.pod.is_some() => Some(format!("berth-{}{SUFFIX}", record.id)),
        CgroupDriver::Systemd | CgroupDriver::Cgroupfs => None,
    }
}

/// Gives the cgroup of a container that waits at its gate to systemd, where it is a scope's.
///
/// # Errors
/// A parent that is no slice, or what systemd refuses.
pub(crate) async fn start(record: &Record, cgroups: &[PathBuf], init: ProcessReference) -> Result<(), Error> {
    let Some((name, directory)) = of(cgroups) else { return Ok(()) };
    let parent = directory.parent().unwrap_or(directory).to_string_lossy();
    let slice: Slice = parent.parse().map_err(Error::Systemd)?;
    let scope = Scope {
        name,
        description: &format!("berth container {}", record.id),
        slice: &slice,
        process: init.pid,
        resources: &of_cgroup(&record.settings.host.resources),
    };
    Systemd::default().start_scope(&scope).await.map_err(Error::Systemd)?;
    set_files(directory, scope.resources).await
}

/// Sets changed limits at systemd too: it applies its own values again at any time.
///
/// # Errors
/// What systemd refuses.
pub(crate) async fn limit(cgroups: &[PathBuf], resources: &Resources) -> Result<(), Error> {
    match of(cgroups) {
        Some((name, directory)) => {
            Systemd::default().limit_scope(name, resources).await.map_err(Error::Systemd)?;
            set_files(directory, resources).await
        }
        None => Ok(()),
    }
}

/// Sets the files that were given by their names once more: systemd has just set those that it manages, to values of its
/// own where there is no property for them.
/// A limit below what is used makes the kernel reclaim before it answers.
async fn set_files(directory: &Path, resources: &Resources) -> Result<(), Error> {
    let (directory, files) = (directory.to_owned(), resources.unified.clone());
    if files.is_empty() {
        return Ok(());
    }
    let work = tokio::task::spawn_blocking(move || {
        files.iter().try_for_each(|(name, value)| {
            let path = directory.join(name);
            fs::write(&path, value).map_err(file_error("set", &path))
        })
    });
    joined(work.await)?
}

/// Ends the scope of a container that has ended.
pub(crate) async fn stop(cgroups: &[PathBuf]) {
    if let Some((name, _)) = of(cgroups)
        && let Err(error) = Systemd::default().stop_scope(name).await
    {
        tracing::error!("{}", with_causes(&error));
    }
}

/// The scope among a container's cgroups.
fn of(cgroups: &[PathBuf]) -> Option<(&str, &Path)> {
    cgroups.iter().find_map(|directory| {
        let name = directory.file_name()?.to_str()?;
        name.ends_with(SUFFIX).then_some((name, directory.as_path()))
    })
}
