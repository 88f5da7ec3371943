//! Which kernel settings belong to a container's own namespaces: the engine refuses others when a
//! container is made, the runtime once more before it writes them.

use std::collections::BTreeMap;

/// The kind of namespace that a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysctlScope {
    /// Network.
    Network,
    /// System V IPC and message queues.
    Ipc,
    /// Host name.
    Uts,
}

/// Settings of the ipc namespace, ipc_namespaces(7); those beneath fs.mqueue too.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// A setting that would change the host, or whose name is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sysctl \"{0}\" is not in a separate kernel namespace")]
pub struct SharedSysctl(pub String);

/// The namespace of a setting; `None` for what is the whole machine's.
fn scope(name: &str) -> Option<SysctlScope> {
    let plain = !name.contains("..") && !name.contains('/') && !name.contains('\0');
    if !plain {
        None
    } else if name.starts_with("net.") {
        Some(SysctlScope::Network)
    } else if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        Some(SysctlScope::Ipc)
    } else if matches!(name, "kernel.domainname" | "kernel.hostname") {
        Some(SysctlScope::Uts)
    } else {
        None
    }
}

/// Refuses settings that would change the host.
///
/// # Errors
/// [`SharedSysctl`] names the first.
pub fn check_sysctls(
    settings: &BTreeMap<String, String>,
    is_own: impl Fn(SysctlScope) -> bool,
) -> Result<(), SharedSysctl> {
    match settings.keys().find(|name| !scope(name).is_some_and(&is_own)) {
        Some(name) => Err(SharedSysctl(name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_namespaces_own_has_a_scope() {
        for (name, expected) in [
            ("net.core.somaxconn", Some(SysctlScope::Network)),
            ("kernel.shmmax", Some(SysctlScope::Ipc)),
            ("fs.mqueue.msg_max", Some(SysctlScope::Ipc)),
            ("kernel.hostname", Some(SysctlScope::Uts)),
            ("kernel.core_pattern", None),
            ("vm.swappiness", None),
            ("net/../kernel.core_pattern", None),
            ("net....kernel.core_pattern", None),
        ] {
            assert_eq!(scope(name), expected, "{name}");
        }
    }

    #[test]
    fn a_setting_of_a_shared_namespace_is_refused() {
        let settings = BTreeMap::from([("net.core.somaxconn".to_owned(), "1".to_owned())]);
        assert!(check_sysctls(&settings, |_| true).is_ok());
        let error = check_sysctls(&settings, |scope| scope != SysctlScope::Network);
        assert_eq!(error, Err(SharedSysctl("net.core.somaxconn".to_owned())));
    }
}
