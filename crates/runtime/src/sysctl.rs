//! Kernel settings that belong to the container's own namespaces.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use model::{Namespace, Namespaces, SysctlScope};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::Doing;
use crate::root::mounts::PROC_MAGIC;
use crate::root::place::open_beneath;
use crate::{FailureKind, StartError};

/// Refuses a setting that would change the host.
pub(crate) fn check(settings: &BTreeMap<String, String>, namespaces: &Namespaces) -> Result<(), StartError> {
    let is_own = |scope| {
        let namespace = match scope {
            SysctlScope::Network => &namespaces.network,
            SysctlScope::Ipc => &namespaces.ipc,
            SysctlScope::Uts => &namespaces.uts,
        };
        *namespace != Namespace::Host
    };
    model::check_sysctls(settings, is_own)
        .map_err(|error| StartError::words(FailureKind::System, error.to_string()))
}

/// Writes the settings through a procfs that is surely one.
pub(crate) fn set(proc: impl AsFd, settings: &BTreeMap<String, String>) -> Result<(), StartError> {
    for (name, value) in settings {
        write(proc.as_fd(), &name.replace('.', "/"), value).doing_with(|| format!("setting {name}"))?;
    }
    Ok(())
}

/// Writes one setting, `path` being that beneath /proc/sys.
pub(crate) fn write(proc: impl AsFd, path: &str, value: &str) -> Result<(), Errno> {
    let path = format!("sys/{path}");
    let file = open_beneath(proc.as_fd(), Path::new(&path), OFlags::WRONLY)?;
    if rustix::fs::fstatfs(&file)?.f_type != PROC_MAGIC {
        return Err(Errno::INVAL);
    }
    // The kernel takes a setting whole.
    rustix::io::write(&file, value.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, network: Namespace) -> bool {
        let namespaces = Namespaces {
            network,
            pid: Namespace::Own,
            ipc: Namespace::Own,
            uts: Namespace::Own,
            own_cgroup: false,
        };
        check(&BTreeMap::from([(name.to_owned(), "1".to_owned())]), &namespaces).is_err()
    }

    #[test]
    fn only_the_containers_own_settings_are_taken() {
        assert!(!refused("net.core.somaxconn", Namespace::Own));
        assert!(refused("net.core.somaxconn", Namespace::Host));
        assert!(!refused("kernel.shmmax", Namespace::Own));
        assert!(refused("vm.swappiness", Namespace::Own));
    }
}
