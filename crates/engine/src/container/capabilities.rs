//! Which capabilities a container's processes get: the default set, `CapAdd`, `CapDrop`.

use crate::error::Error;

/// Every capability of Linux by name without `CAP_`, in the kernel's order (capabilities(7)).
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container has when nothing is asked for; Docker's documented default.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The full names of all capabilities, for a privileged container or exec.
pub(crate) fn all() -> Vec<String> {
    ALL.iter().map(|name| format!("CAP_{name}")).collect()
}

/// Resolves `CapAdd` and `CapDrop` to full names.
///
/// # Errors
/// Refused when a name is no capability.
pub(crate) fn resolve(add: &[String], drop: &[String]) -> Result<Vec<String>, Error> {
    let dropped = known(drop, "Unknown capability drop")?;
    let added = known(add, "Unknown capability to add")?;
    let base: Vec<&str> = if added.contains(&"ALL") {
        ALL.to_vec()
    } else if dropped.contains(&"ALL") {
        Vec::new()
    } else {
        DEFAULT.to_vec()
    };
    let mut names: Vec<&str> = base.into_iter().filter(|name| !dropped.contains(name)).collect();
    for name in added {
        if name != "ALL" && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.into_iter().map(|name| format!("CAP_{name}")).collect())
}

fn known(names: &[String], complaint: &str) -> Result<Vec<&'static str>, Error> {
    names
        .iter()
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if bare == "ALL" {
                return Ok("ALL");
            }
            ALL.iter()
                .copied()
                .find(|known| *known == bare)
                .ok_or_else(|| Error::refused(format!("{complaint}: \"{name}\"")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn adds_and_drops() {
        let some = resolve(&names(&["net_admin"]), &names(&["CAP_MKNOD"])).expect("known names");
        assert!(some.contains(&"CAP_NET_ADMIN".to_owned()) && !some.contains(&"CAP_MKNOD".to_owned()));
        assert_eq!(resolve(&names(&["CHOWN"]), &names(&["ALL"])).expect("known names"), ["CAP_CHOWN"]);
        let but_one = resolve(&names(&["ALL"]), &names(&["SYS_ADMIN"])).expect("known names");
        assert_eq!(but_one.len(), ALL.len() - 1);
    }

    #[test]
    fn unknown_names_are_refused() {
        for bad in ["", "BOGUS", "CAP_"] {
            assert!(resolve(&names(&[bad]), &[]).is_err(), "{bad}");
            assert!(resolve(&[], &names(&[bad])).is_err(), "{bad}");
        }
    }
}
