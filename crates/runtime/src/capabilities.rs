//! Capabilities by name, and the sets of a process.

use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::Doing;
use crate::{FailureKind, StartError};

/// By number, linux/capability.h.
pub(crate) const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A set of capabilities, one bit each.
pub(crate) type Mask = u64;

/// The bit of CAP_SYS_ADMIN.
pub(crate) const SYS_ADMIN: Mask = 1 << 21;
/// The bit of CAP_KILL.
pub(crate) const KILL: Mask = 1 << 5;

/// All names together.
pub(crate) fn mask(names: &[String]) -> Result<Mask, StartError> {
    names.iter().try_fold(0, |mask, name| match NAMES.iter().position(|known| known == name) {
        Some(number) => Ok(mask | 1 << number),
        None => Err(StartError::words(FailureKind::System, format!("unknown capability {name:?}"))),
    })
}

/// The capabilities that the caller itself may still pass on.
pub(crate) fn bounding_set() -> Mask {
    (0..64_u32)
        .map_while(|number| {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            rustix::thread::capability_is_in_bounding_set(capability).ok().map(|held| (number, held))
        })
        .filter(|(_, held)| *held)
        .fold(0, |mask, (number, _)| mask | 1 << number)
}

/// Takes all but `keep` out of the bounding set.
pub(crate) fn limit_bounding_set(keep: Mask) -> Result<(), StartError> {
    for number in 0..64_u32 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if !rustix::thread::capability_is_in_bounding_set(capability).unwrap_or(false) {
            continue;
        }
        if keep & 1 << number == 0 {
            rustix::thread::remove_capability_from_bounding_set(capability)
                .doing("limiting the capabilities")?;
        }
    }
    Ok(())
}

/// Sets what the caller has and may have; nothing is inheritable, so nothing ambient is left either.
pub(crate) fn set(effective: Mask, permitted: Mask) -> Result<(), StartError> {
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(effective),
        permitted: CapabilitySet::from_bits_retain(permitted),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).doing("setting the capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bits() {
        let names = ["CAP_CHOWN".to_owned(), "CAP_KILL".to_owned()];
        assert_eq!(mask(&names).expect("known"), 0b10_0001);
        assert!(mask(&["CHOWN".to_owned()]).is_err());
        assert_eq!(NAMES.iter().position(|name| *name == "CAP_SYS_ADMIN"), Some(21));
    }
}
